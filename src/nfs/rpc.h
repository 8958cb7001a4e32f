// SPDX-License-Identifier: MIT
// One TCP connection to one RPC service (RFC 5531), by libnfs.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "base/clock.h"
#include "base/loop.h"
#include "base/thread_checker.h"
#include "config/config.h"
#include "nfs/alarm.h"
#include "nfs/client.h"
#include "nfs/reply_batching.h"
#include "nfs/socket_interposer.h"
#include "nfs/status.h"
#include "telemetry/metrics.h"

struct rpc_context;  // libnfs

namespace qatime {
class Alerts;
}

namespace qatime::nfs {

// What all connections of a client share. Outlives them.
struct ClientContext {
  ClientContext(boost::asio::io_context& loop, const NfsConfig& settings, metrics::Registry& registry);

  boost::asio::io_context& io;
  NfsConfig config;
  Alerts& alerts;
  std::unique_ptr<ReplyBatching> gathering;
  struct Procedure {
    metrics::Counter& sent;
    metrics::Histogram& seconds;  // until the reply, or the timeout
  };
  Procedure null;
  Procedure getport;
  Procedure mnt;
  Procedure getattr;
  Procedure lookup;
  Procedure setattr;
  Procedure readdirplus;
};

// What a reply says, whichever its procedure.
struct Reply {
  Status status = Status::ok;
  Handle handle{};                         // MNT, LOOKUP
  std::optional<Attributes> attributes{};  // LOOKUP, GETATTR, SETATTR, where the server reports them
  std::uint32_t port = 0;                  // GETPORT; 0: not registered
  std::shared_ptr<const Page> page{};      // READDIRPLUS, if the status is ok
};

// Opens in its constructor and ends once: lost by itself, or destroyed, which forgets what is outstanding.
//
// Requests complete once, on the loop, outside the call that started them; a timeout counts from that call. When the
// connection is lost, all that is outstanding completes with Status::lost, and then `lost` is called. If it was for a
// reply without bounds, READDIRPLUS completes with Status::garbage, as the likeliest to have it. Any callback may start
// requests and may destroy the Rpc. One thread, that of the loop.
class Rpc {
 public:
  using Done = std::function<void(const Reply&)>;
  using Lost = std::function<void(const std::string& why)>;

  // Outstanding requests that a libnfs context bears well.
  static constexpr std::size_t kMaxOutstanding = NfsConfig::kMostPerConnection;

  // Calls `opened` when connected, or `lost`, neither inside the constructor.
  Rpc(const ClientContext& client_context, const boost::asio::ip::tcp::endpoint& server, std::function<void()> opened,
      Lost lost);
  ~Rpc();
  Rpc(const Rpc&) = delete;
  Rpc& operator=(const Rpc&) = delete;

  [[nodiscard]] bool is_open() const noexcept {
    assert(thread_.is_current());
    return open_;
  }
  // Requests that somebody waits for.
  [[nodiscard]] std::size_t waiting() const noexcept {
    assert(thread_.is_current());
    return waiting_.size();
  }
  // How many more the connection takes.
  [[nodiscard]] std::size_t room() const noexcept;
  // Our end; nothing unless open.
  [[nodiscard]] std::optional<boost::asio::ip::address> local_address() const;

  // Requests on what is not open complete with Status::lost, those that libnfs cannot encode with Status::inval.
  void null(Done done);                                                    // NFS version 3
  void getport(std::uint32_t program, std::uint32_t version, Done done);   // portmapper version 2, over TCP
  void mnt(const std::string& path, Done done);                            // MOUNT version 3
  void lookup(const Handle& directory, std::string_view name, Done done);  // NFS version 3, likewise below
  void getattr(const Handle& object, Done done);
  void set_atime(const Handle& object, Time atime, std::optional<Time> guard, Done done);
  void readdirplus(const Handle& directory, const Page::Position& begin, std::uint32_t size, Done done);

  // libnfs knows a request by this record, and never by its caller.
  struct Call {
    Rpc* rpc;
    const ClientContext::Procedure* procedure = nullptr;
    Done done;  // empty: timed out, nobody waits for it any more
    Clock::Instant started{};
    Clock::Instant deadline{};
    std::uint64_t number = 0;  // in the order of starting
    std::uint32_t page = 0;    // bytes that a READDIRPLUS asks for
    Reply reply{};
    std::list<Call>::iterator self{};
  };
  // For the callbacks of libnfs: the call has its reply.
  static void finish(Call& call, const Reply& reply);

 private:
  // `queue` hands a call to libnfs and says whether libnfs took it.
  template <class Queue>
  void start(const ClientContext::Procedure& procedure, Done done, const Queue& queue) {
    assert(thread_.is_current() && !in_libnfs_);
    Call& call = enter(procedure, std::move(done));
    entered(call, open_ && queue(call));
  }
  void expect_page(std::size_t size) noexcept;
  void end_page() noexcept;
  [[nodiscard]] Call& enter(const ClientContext::Procedure& procedure, Done done);
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
  void set_alarm();
  void deliver();
  void deliver_later();
  void fail(const std::string& why);
  void complete_forgotten();
  void close() noexcept;
  [[nodiscard]] std::string failure() const;

  ThreadChecker thread_;
  const ClientContext& client_context_;
  rpc_context* context_;
  loop::Descriptor descriptor_;  // a duplicate: libnfs closes its own when it likes
  int socket_ = -1;              // the same
  SocketInterposer stream_;
  Alarm alarm_;
  std::function<void()> opened_;
  Lost lost_;
  bool open_ = false;
  bool in_libnfs_ = false;  // which may be calling back
  bool alarm_is_set_ = false;
  bool flush_is_posted_ = false;
  bool awaits_room_ = false;
  Clock::Duration latency_{};     // until a reply, as it was lately
  std::size_t together_ = 0;      // replies that the last turn brought
  std::size_t pages_ = 0;         // READDIRPLUS calls that libnfs has
  std::size_t largest_page_ = 0;  // bytes that one has asked for since there were none
  std::uint64_t started_ = 0;
  std::uint64_t started_before_reply_ = 0;                 // before the last one
  std::size_t silent_timeouts_ = 0;                        // of what was started after it
  std::list<Call> waiting_;                                // in the order of their deadlines
  std::list<Call> abandoned_;                              // timed out, but libnfs still has them
  std::list<Call> completed_;                              // to be delivered
  std::list<Call> spare_;                                  // delivered; for the next, since malloc is dear
  std::shared_ptr<char> life_ = std::make_shared<char>();  // what is posted looks whether we still live
};

}  // namespace qatime::nfs
