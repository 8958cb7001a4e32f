// SPDX-License-Identifier: MIT
// One TCP connection to one RPC service (RFC 5531), by libnfs. procedures.h has what is called over it.
#pragma once

#include <cassert>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "base/address.h"
#include "base/clock.h"
#include "base/deferred.h"
#include "base/loop.h"
#include "base/thread_checker.h"
#include "config/config.h"
#include "nfs/alarm.h"
#include "nfs/reply_batching.h"
#include "nfs/socket_interposer.h"
#include "nfs/status.h"
#include "telemetry/metrics.h"

struct rpc_context;  // libnfs

namespace qatime {
class Alerts;
}

namespace qatime::nfs {

struct ProcedureMetrics;

// How long a client waits before it looks whether things are still as they were.
struct Intervals {
  std::chrono::milliseconds silence{std::chrono::minutes{1}};  // without a reply, until a server is asked by NULL
  std::chrono::milliseconds names{std::chrono::minutes{1}};    // between two looks at a name whose servers all answer
  std::chrono::milliseconds names_of_away{std::chrono::seconds{5}};  // or do not
};

// The state that all connections of a client share. Outlives them.
struct ClientContext {
  ClientContext(boost::asio::io_context& loop, const NfsConfig& settings, metrics::Registry& registry,
                const Intervals& times = {});
  ~ClientContext();

  boost::asio::io_context& io;
  NfsConfig config;
  const Intervals intervals;
  Alerts& alerts;
  std::unique_ptr<ReplyBatching> reply_batching;
  std::shared_ptr<Deferred> deferred;  // requests and flushes, behind the completions that came together
  std::unique_ptr<const ProcedureMetrics> procedures;
};

// Opens in its constructor and ends once: the connection is lost, or the Rpc is destroyed.
//
// Guarantee: a request completes once, on the loop, outside the call that started it. Its timeout counts from that
// call, but is never before that of an earlier request.
//
// Not covered: the destructor forgets outstanding requests.
//
// Failure: a request completes with Status::lost if the Rpc is not open, with Status::inval if libnfs cannot encode it.
// If the connection is lost, all outstanding requests complete with Status::lost, and then the Rpc calls `lost`. If
// SocketInterposer refused a reply, the request that it answers completes with Status::garbage; if it answers none,
// requests for a page do, as the likeliest cause.
//
// Bounds: callers go by room(), which also counts requests that timed out, until libnfs has their reply.
//
// Thread: the loop's. Any callback may start requests and may destroy the Rpc.
class Rpc {
 public:
  using Lost = std::function<void(const std::string& why)>;

  // Outstanding requests that a libnfs context handles well.
  static constexpr std::size_t kMaxOutstanding = NfsConfig::kMostPerConnection;

  // Calls `opened` once connected, or `lost`; neither inside the constructor.
  Rpc(const ClientContext& client_context, const boost::asio::ip::tcp::endpoint& server, std::function<void()> opened,
      Lost lost);
  ~Rpc();
  Rpc(const Rpc&) = delete;
  Rpc& operator=(const Rpc&) = delete;

  [[nodiscard]] bool is_open() const noexcept {
    assert(thread_.is_current());
    return open_;
  }
  // Whether a request that completes with `status` shows that the connection has ended: `lost` says why.
  [[nodiscard]] bool is_lost_by(Status status) const noexcept {
    return status == Status::lost || (status == Status::garbage && !is_open());
  }
  // The number of requests that have neither completed nor timed out.
  [[nodiscard]] std::size_t waiting() const noexcept {
    assert(thread_.is_current());
    return waiting_.size();
  }
  // The number of further requests that the connection takes.
  [[nodiscard]] std::size_t room() const noexcept;
  // When the last reply came, or the connection was opened.
  [[nodiscard]] Clock::Instant heard() const noexcept {
    assert(thread_.is_current());
    return heard_;
  }
  // Inside `lost`: whether the server has closed the connection while it owed no reply.
  [[nodiscard]] bool was_closed_idle() const noexcept {
    assert(thread_.is_current());
    return was_closed_idle_;
  }
  // The address of our end; nothing unless open.
  [[nodiscard]] std::optional<Address> local_address() const;

  [[nodiscard]] const ProcedureMetrics& procedures() const noexcept { return *client_context_.procedures; }

  struct Procedure {
    Procedure(metrics::Registry& registry, const char* name);

    metrics::Counter& sent;
    metrics::Histogram& seconds;  // until the reply, or the timeout
  };
  // The one who waits for a request, and its results, which come before the caller is told.
  struct Caller {
    virtual ~Caller() = default;
    virtual void tell(Status status) = 0;
  };
  // The record by which libnfs knows a request.
  struct Call {
    Rpc* rpc;
    const Procedure* procedure = nullptr;
    std::unique_ptr<Caller> caller;  // null: timed out, and the caller has the outcome
    Clock::Instant started{};
    Clock::Instant deadline{};
    std::uint64_t number = 0;  // of those that libnfs took, in this order
    std::uint32_t page = 0;    // bytes that a reply with a page may have; 0: it has none
    Status status = Status::ok;
    std::list<Call>::iterator self{};
  };
  // Starts a request. `queue` gives the record to libnfs and returns whether libnfs took it.
  template <class Queue>
  void start(const Procedure& procedure, std::unique_ptr<Caller> caller, std::uint32_t page, const Queue& queue) {
    assert(thread_.is_current() && !in_libnfs_);
    Call& call = enter(procedure, std::move(caller), page);
    if (!open_) return entered(call, false);
    const SocketInterposer::Use use{interposer_, libnfs_socket_};  // since version 5 libnfs writes at once
    entered(call, queue(context_, call));
  }
  // Ends a request, whose caller has the results if `status` is ok. For the callbacks of libnfs.
  static void finish(Call& call, Status status);

 private:
  void expect_page(std::size_t size) noexcept;
  void end_page() noexcept;
  [[nodiscard]] Call& enter(const Procedure& procedure, std::unique_ptr<Caller> caller, std::uint32_t page);
  void entered(Call& call, bool queued);
  [[nodiscard]] std::string connect(const boost::asio::ip::tcp::endpoint& server);
  [[nodiscard]] int service(int events);
  void await_open();
  void await_replies();
  void await_room();
  void flush();
  void flush_later();
  void expire();
  void abandon_expired();
  [[nodiscard]] bool is_hung() const noexcept;
  [[nodiscard]] bool is_refused(const Call& call) const noexcept;
  void set_alarm();
  void deliver();
  void deliver_later();
  void fail(const std::string& why);
  void complete_forgotten();
  void close() noexcept;
  [[nodiscard]] bool has_ended() const;
  [[nodiscard]] std::string failure() const;

  ThreadChecker thread_;
  const ClientContext& client_context_;
  rpc_context* context_;
  loop::Descriptor descriptor_;  // a duplicate, because libnfs closes its own at any time
  int socket_ = -1;              // the same
  int libnfs_socket_ = -1;       // its own
  SocketInterposer interposer_;
  Alarm alarm_;
  std::function<void()> opened_;
  Lost lost_;
  bool open_ = false;
  bool was_closed_idle_ = false;
  bool in_libnfs_ = false;  // which might be calling back
  bool alarm_is_set_ = false;
  bool flush_is_due_ = false;
  bool awaits_room_ = false;
  Clock::Duration latency_{};  // until a reply, a moving average
  Clock::Duration least_latency_ = Clock::Duration::max();
  std::size_t together_ = 0;      // replies of the last turn
  std::size_t pages_ = 0;         // requests for one that libnfs has
  std::size_t largest_page_ = 0;  // bytes, of all since there were none
  std::uint64_t started_ = 0;
  Clock::Instant heard_{};
  std::uint64_t started_before_reply_ = 0;                 // before the last one
  std::size_t silent_timeouts_ = 0;                        // of requests that started after it
  std::list<Call> waiting_;                                // in the order of their deadlines
  std::list<Call> abandoned_;                              // timed out, but libnfs still has them
  std::list<Call> completed_;                              // to be delivered
  std::list<Call> spare_;                                  // delivered; used again, because malloc is slow
  std::shared_ptr<char> life_ = std::make_shared<char>();  // posted handlers look whether we still live
};

}  // namespace qatime::nfs
