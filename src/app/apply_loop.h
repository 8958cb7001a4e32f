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

// Connects to the servers once the loop runs, and applies the backlog after start(). The constructor's arguments
// outlive it. Thread: the one of the loop, unless a function says otherwise.
class ApplyLoop {
 public:
  static constexpr std::size_t kStack = nfs::LibnfsClient::kStack;  // bytes of stack that the thread needs

  ApplyLoop(boost::asio::io_context& io, backlog::Backlog& backlog, const Clock& clock, const Config& config,
            const Exports& exports, metrics::Registry& registry, bool dry_run);
  ApplyLoop(const ApplyLoop&) = delete;
  ApplyLoop& operator=(const ApplyLoop&) = delete;

  // Starts to apply the entries of the backlog. Any thread.
  void start();

  // Adopts the values of `config` that SIGHUP can change.
  void reconfigure(const Config& config);

  // Tells it that the backlog has new work. Any thread.
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
