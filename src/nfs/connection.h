// SPDX-License-Identifier: MIT
// One connection to one NFS server, for ever.
#pragma once

#include <cassert>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/ip/tcp.hpp>

#include "base/backoff.h"
#include "base/log.h"
#include "base/thread_checker.h"
#include "nfs/alarm.h"
#include "nfs/mount.h"
#include "nfs/rpc.h"
#include "telemetry/metrics.h"

namespace qatime::nfs {

// A server, shared by all its connections. Outlives them.
struct Peer {
  boost::asio::ip::tcp::endpoint endpoint;  // of NFS; port 0: ask the portmapper
  std::string label;                        // in metrics and log lines
  metrics::Gauge& up;
  metrics::Counter& reconnects;
  bool was_said_away = true;  // a log line said so, so another is to say that it is back
  log::Throttle failed{};
  log::Throttle refused{};
};

// Steps: MOUNT every export, connect to NFS, serve.
//
// Failure: if a step fails, the connection backs off and begins again. Exports that the server refuses are asked for
// again while the others are served. A server that is silent for a minute is asked by NULL; without a reply to that,
// the connection is lost. One that closes a connection without work is connected again at once, and that is no failure.
//
// Thread: the loop's.
class Connection {
 public:
  // Calls `changed`, on the loop, when the connection becomes ready or is lost, or a root changes.
  Connection(const ClientContext& client_context, Peer& peer, std::function<void()> changed);

  // Whether requests may be started.
  [[nodiscard]] bool is_ready() const noexcept {
    assert(thread_.is_current());
    return ready_ && rpc_->is_open();
  }
  // Whether the server counts as one that answers: requests may be started, or can soon, after it closed a connection
  // without work.
  [[nodiscard]] bool is_up() const noexcept { return is_ready() || is_reopening_; }
  // The NFS service. Precondition: is_ready(), in this turn of the loop.
  [[nodiscard]] Rpc& rpc() const noexcept {
    assert(thread_.is_current());
    return *rpc_;
  }
  [[nodiscard]] Peer& peer() const noexcept { return peer_; }
  // The root of an export, if the server has given it.
  [[nodiscard]] const std::optional<Handle>& root(std::size_t export_index) const {
    assert(thread_.is_current());
    return mounts_.at(export_index).root;
  }
  // Whether requests for the export may be started: it is ready, and its root is that of the cluster.
  [[nodiscard]] bool serves(std::size_t export_index) const {
    assert(thread_.is_current());
    return mounts_.at(export_index).is_chosen;
  }
  // Tells which root the export has on the cluster; its owner calls it after each change.
  void choose(std::size_t export_index, const std::optional<Handle>& root);
  // The status of the last attempt to mount the export; ok before the first.
  [[nodiscard]] Status mount_status(std::size_t export_index) const {
    assert(thread_.is_current());
    return mounts_.at(export_index).status;
  }
  // Why the last attempt to connect failed or the connection was lost. Empty before any failure, and while ready.
  [[nodiscard]] const std::string& failure() const noexcept {
    assert(thread_.is_current());
    return failure_;
  }

  // Asks for all roots again, because one has gone stale and the others might have, too. At most once in 3 seconds.
  void doubt_roots();

 private:
  struct MountState {
    std::optional<Handle> root;
    Status status = Status::ok;
    bool is_chosen = false;
  };

  void begin();
  void mount(std::vector<std::size_t> exports);
  void take_mounts(const Mount::Mounted& result);
  [[nodiscard]] bool take_root(const Mount::Root& root);
  void retry_refused();
  void connect(const Mount::Mounted& result);
  void greet();
  void become_ready();
  void listen_for_silence();
  void ask_after_silence();
  [[nodiscard]] bool has_settled() const noexcept;
  void reopen();
  void drop();
  void lose(const std::string& why);

  ThreadChecker thread_;
  const ClientContext& client_context_;
  Peer& peer_;
  std::function<void()> changed_;
  std::vector<MountState> mounts_;
  std::string failure_;
  bool ready_ = false;
  bool is_reopening_ = false;
  Clock::Instant ready_since_{};
  Clock::Instant mounted_at_{};
  unsigned attempts_ = 0;
  unsigned mount_attempts_ = 0;
  Backoff backoff_;
  Backoff mount_backoff_;
  Alarm retry_;        // everything
  Alarm mount_retry_;  // the refused exports
  Alarm silence_;      // the server has been silent for long
  std::unique_ptr<Mount> mount_;
  std::unique_ptr<Rpc> rpc_;
};

}  // namespace qatime::nfs
