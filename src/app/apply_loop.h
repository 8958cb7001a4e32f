// SPDX-License-Identifier: MIT
// The stage that applies: the client, the engine, and the timer that keeps it going.
#pragma once

#include <atomic>
#include <cstddef>

#include <boost/asio/io_context.hpp>

#include "apply/engine.h"
#include "backlog/backlog.h"
#include "base/clock.h"
#include "base/loop.h"
#include "base/path.h"
#include "base/thread_checker.h"
#include "config/config.h"
#include "nfs/libnfs_client.h"
#include "telemetry/metrics.h"

namespace qatime {

// Begins to connect to the servers once the loop runs, and applies once it is told to start. All that it is made with
// outlives it. The thread of the loop, unless a call says otherwise.
class ApplyLoop {
 public:
  static constexpr std::size_t kStack = nfs::LibnfsClient::kStack;  // bytes that the thread must have

  ApplyLoop(boost::asio::io_context& io, backlog::Backlog& backlog, const Clock& clock, const Config& config,
            const Exports& exports, metrics::Registry& registry, bool dry_run);
  ApplyLoop(const ApplyLoop&) = delete;
  ApplyLoop& operator=(const ApplyLoop&) = delete;

  // From now on what waits in the backlog is applied. Any thread.
  void start();

  // Goes by what of `config` SIGHUP may change, from now on.
  void reconfigure(const Config& config);

  // The backlog has something new. Any thread.
  void wake();

  [[nodiscard]] nfs::LibnfsClient& client() noexcept { return client_; }
  [[nodiscard]] apply::Engine& engine() noexcept { return engine_; }

 private:
  void pump();
  void tick();

  ThreadChecker thread_;
  boost::asio::io_context& io_;
  const Clock& clock_;
  nfs::LibnfsClient client_;
  apply::Engine engine_;
  loop::Timer timer_;
  std::atomic<bool> woken_{false};
  bool started_ = false;
};

}  // namespace qatime
