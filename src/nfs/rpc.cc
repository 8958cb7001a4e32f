// SPDX-License-Identifier: MIT
//
// How libnfs is driven. Nothing is queued on a context or destroyed while libnfs is calling back: the callbacks only
// move the record of their request to `completed_`, and what was completed is delivered when rpc_service() has
// returned; debug builds assert it. The context never reconnects; when rpc_service() fails it is destroyed, which
// completes all it still has.
//
// Timeouts are our own. Those of libnfs need a call every 100 ms, miscount what is queued, and remove a request that
// is half written from the stream. Ours leave the request where it is and forget its caller. A server that answers
// nothing any more is noticed by requests that time out with no reply since they were started. One that swallows some
// keeps its connection as long as there is room for others, because one export may hang while others are served. The
// kernel notices sooner if nothing at all comes from a server's host: by TCP_USER_TIMEOUT while bytes are on their way,
// by keepalive while none are.
//
// Requests that are started behind one batch of replies, or in one turn of the loop, are written together by a deferred
// flush(). TCP_NODELAY is set, because one would wait for the delayed acknowledgement of another. A SocketInterposer
// gathers what libnfs writes and reads.
#include "nfs/rpc.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>
#include <iterator>
#include <new>
#include <optional>
#include <system_error>
#include <utility>

#include <boost/asio/post.hpp>
#include <fcntl.h>
#include <fmt/core.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <nfsc/libnfs.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
//
#include <nfsc/libnfs-raw.h>

#include "base/loop.h"
#include "nfs/procedures.h"

// Exported by all versions of libnfs, declared from 7 on.
extern "C" void rpc_set_timeout(rpc_context* rpc, int milliseconds);

namespace qatime::nfs {

namespace asio = boost::asio;

namespace {

// So many that nothing was answered after: the server hangs. One alone may be a slow request, but not after a silence.
constexpr std::size_t kSilentTimeouts = 2;

constexpr std::size_t kMaxAbandoned = Rpc::kMaxOutstanding / 2;
constexpr std::chrono::seconds kKeepaliveIdle{30};  // without a byte, until the kernel probes a connection
constexpr int kKeepaliveProbes = 3;                 // within the user timeout
// At least so long, that the kernel can send again what was lost.
constexpr std::chrono::milliseconds kLeastUserTimeout{3000};

constexpr std::size_t kLargestReply = 1 << 20;  // bytes, whatever was asked for

static_assert(Rpc::kMaxOutstanding <= AwaitedCalls::kMost);

// A context that sends AUTH_SYS credentials and leaves timeouts to its user; null if memory is short.
rpc_context* make_context(const NfsConfig& config) {
  rpc_context* const context = rpc_init_context();
  if (context == nullptr) return nullptr;
  rpc_set_auth(context, libnfs_authunix_create("qatime", config.uid, config.gid, 0, nullptr));
  rpc_set_timeout(context, -1);
#ifdef LIBNFS_FEATURE_MULTITHREADING
  rpc_set_hash_size(context, 1024);  // of requests by xid; 4 by default since version 5
#endif
  return context;
}

// Has the kernel send at once, and give up a connection whose host answers nothing for `timeout` (RFC 5482; RFC 9293
// section 3.8.4). Refused, it is slower, or a dead host is noticed later; no more.
void set_options(int descriptor, std::chrono::milliseconds timeout) {
  const auto set = [descriptor](int level, int option, int value) {
    (void)::setsockopt(descriptor, level, option, &value, sizeof value);
  };
  const auto user_timeout = std::max(timeout, kLeastUserTimeout);
  const auto pause = std::chrono::ceil<std::chrono::seconds>(user_timeout) / kKeepaliveProbes;
  set(IPPROTO_TCP, TCP_NODELAY, 1);
  set(IPPROTO_TCP, TCP_USER_TIMEOUT, static_cast<int>(user_timeout.count()));
  set(IPPROTO_TCP, TCP_KEEPIDLE, static_cast<int>(kKeepaliveIdle.count()));
  set(IPPROTO_TCP, TCP_KEEPINTVL, static_cast<int>(pause.count()));
  set(IPPROTO_TCP, TCP_KEEPCNT, kKeepaliveProbes);
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
}

std::string text(int error) { return std::generic_category().message(error); }

// The outcome of a connect().
int socket_error(int descriptor) {
  int error = 0;
  socklen_t size = sizeof error;
  return ::getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

void on_connected(rpc_context* /*context*/, int status, void* /*data*/, void* open) {
  *static_cast<bool*>(open) = status == RPC_STATUS_SUCCESS;
}

}  // namespace

ClientContext::ClientContext(asio::io_context& loop, const NfsConfig& settings, metrics::Registry& registry,
                             const Intervals& times)
    : io{loop},
      config{settings},
      intervals{times},
      alerts{registry.alerts()},
      reply_batching{std::make_unique<ReplyBatching>(loop)},
      deferred{std::make_shared<Deferred>(loop)},
      procedures{std::make_unique<ProcedureMetrics>(registry)} {}

ClientContext::~ClientContext() { deferred->forget(); }

Rpc::Procedure::Procedure(metrics::Registry& registry, const char* name)
    : sent{registry.counter("qatime_rpcs_total", "RPCs sent to NFS servers.", {"procedure", name})},
      seconds{registry.histogram("qatime_rpc_seconds", "From sending an RPC to its reply, or to its timeout.",
                                 {"procedure", name})} {}

Rpc::Rpc(const ClientContext& client_context, const asio::ip::tcp::endpoint& server, std::function<void()> opened,
         Lost lost)
    : client_context_{client_context},
      context_{make_context(client_context.config)},
      descriptor_{client_context.io},
      alarm_{client_context.io},
      opened_{std::move(opened)},
      lost_{std::move(lost)} {
  if (context_ == nullptr) throw std::bad_alloc{};
  if (auto why = connect(server); !why.empty()) {
    asio::post(client_context_.io, [this, life = std::weak_ptr{life_}, why = std::move(why)] {
      if (!life.expired()) fail(why);
    });
    return;
  }
  await_open();
  alarm_.set(std::chrono::steady_clock::now() + client_context_.config.timeout, [this] { expire(); });
  alarm_is_set_ = true;
  alarm_.detach();
}

Rpc::~Rpc() { close(); }

// Begins to connect; says why it cannot, or nothing.
std::string Rpc::connect(const asio::ip::tcp::endpoint& server) {
  const std::string address = server.address().to_string();
  if (rpc_connect_async(context_, address.c_str(), server.port(), on_connected, &open_) < 0) {
    const char* const error = rpc_get_error(context_);
    return error != nullptr ? error : "connect failed";
  }
  libnfs_socket_ = rpc_get_fd(context_);
  socket_ = ::fcntl(libnfs_socket_, F_DUPFD_CLOEXEC, 0);
  if (socket_ < 0) return text(errno);
  descriptor_.assign(socket_);
  return {};
}

int Rpc::service(int events) {
  const SocketInterposer::Use use{interposer_, libnfs_socket_};
  in_libnfs_ = true;
  const int result = rpc_service(context_, events);
  in_libnfs_ = false;
  return result;
}

void Rpc::await_open() {
  descriptor_.async_wait(loop::Descriptor::wait_write,
                         [this, life = std::weak_ptr{life_}](const boost::system::error_code& error) {
                           if (error || life.expired() || context_ == nullptr) return;
                           if (const int cause = socket_error(socket_)) return fail(text(cause));
                           if (service(POLLOUT) < 0 || !open_) return fail(failure());
                           set_options(socket_, client_context_.config.timeout);
                           heard_ = std::chrono::steady_clock::now();
                           alarm_.cancel();
                           alarm_is_set_ = false;
                           await_replies();
                           const auto opened = std::move(opened_);
                           opened();
                         });
}

void Rpc::await_replies() {
  descriptor_.async_wait(
      loop::Descriptor::wait_read, [this, life = std::weak_ptr{life_}](const boost::system::error_code& error) {
        if (error || life.expired() || context_ == nullptr) return;
        client_context_.reply_batching->sleep(ReplyBatching::due(waiting_.size(), latency_, least_latency_, together_));
        // Of an error libnfs gets to know first, and the kernel tells it once.
        const bool owes_nothing = waiting_.empty() && abandoned_.empty();
        if (const int cause = owes_nothing ? socket_error(socket_) : 0) return fail(text(cause));
        do {
          if (service(POLLIN) < 0) {
            was_closed_idle_ = owes_nothing && has_ended();
            return fail(failure());
          }
        } while (interposer_.has_unread());
        if (!interposer_.refusal().empty()) return fail(interposer_.refusal());
        together_ = completed_.size();
        await_replies();
        deliver();
      });
}

// Waits until the socket takes more of what is queued.
void Rpc::await_room() {
  awaits_room_ = true;
  descriptor_.async_wait(loop::Descriptor::wait_write,
                         [this, life = std::weak_ptr{life_}](const boost::system::error_code& error) {
                           if (error || life.expired() || context_ == nullptr) return;
                           awaits_room_ = false;
                           flush();
                         });
}

void Rpc::flush_later() {
  if (std::exchange(flush_is_due_, true)) return;
  client_context_.deferred->add([this, life = std::weak_ptr{life_}] {
    if (life.expired() || context_ == nullptr) return;
    flush_is_due_ = false;
    flush();
  });
}

void Rpc::flush() {
  if (awaits_room_) return;
  if (service(POLLOUT) < 0) return fail(failure());
  if (const int error = interposer_.flush(socket_)) return fail(text(error));
  if (interposer_.has_unsent() || (rpc_which_events(context_) & POLLOUT) != 0) await_room();
}

std::size_t Rpc::room() const noexcept {
  assert(thread_.is_current());
  const std::size_t outstanding = waiting_.size() + abandoned_.size();
  return open_ && outstanding < kMaxOutstanding ? kMaxOutstanding - outstanding : 0;
}

std::optional<Address> Rpc::local_address() const {
  assert(thread_.is_current());
  return open_ ? qatime::local_address(socket_) : std::nullopt;
}

Rpc::Call& Rpc::enter(const Procedure& procedure, std::unique_ptr<Caller> caller, std::uint32_t page) {
  if (spare_.empty()) spare_.emplace_back();
  // Where the timeout has become shorter, no earlier than those before: one list, one alarm.
  const auto started = std::chrono::steady_clock::now();
  auto deadline = started + client_context_.config.timeout;
  if (!waiting_.empty()) deadline = std::max(deadline, waiting_.back().deadline);
  waiting_.splice(waiting_.end(), spare_, spare_.begin());
  Call& call = waiting_.back();
  call = Call{this, &procedure, std::move(caller), started, deadline, started_++, page};
  call.self = std::prev(waiting_.end());
  return call;
}

void Rpc::entered(Call& call, bool queued) {
  if (!queued) {
    --started_;
    call.status = open_ ? Status::inval : Status::lost;
    completed_.splice(completed_.end(), waiting_, call.self);
    return deliver_later();
  }
  if (call.page > 0) expect_page(call.page);
  call.procedure->sent.add();
  set_alarm();
  flush_later();
}

// A page may be larger than was asked for: some servers count other bytes. Abandoned calls may be answered, too.
void Rpc::expect_page(std::size_t size) noexcept {
  ++pages_;
  largest_page_ = std::max(largest_page_, size);
  interposer_.set_limit(std::min(2 * largest_page_ + ReplyGate::kSmallRecord, kLargestReply));
}

void Rpc::end_page() noexcept {
  if (--pages_ > 0) return;
  largest_page_ = 0;
  interposer_.set_limit(ReplyGate::kSmallRecord);
}

void Rpc::finish(Call& call, Status status) {
  Rpc& rpc = *call.rpc;
  if (call.page > 0) rpc.end_page();
  if (status != Status::lost) {
    rpc.started_before_reply_ = rpc.started_;
    rpc.silent_timeouts_ = 0;
    rpc.heard_ = std::chrono::steady_clock::now();
  }
  if (call.caller == nullptr) {
    rpc.abandoned_.erase(call.self);
    return;
  }
  if (status != Status::lost) {
    const auto latency = rpc.heard_ - call.started;
    call.procedure->seconds.observe(latency);
    rpc.latency_ += (latency - rpc.latency_) / 8;
    rpc.least_latency_ = std::min(rpc.least_latency_, latency);
  }
  call.status = status == Status::lost && rpc.is_refused(call) ? Status::garbage : status;
  rpc.completed_.splice(rpc.completed_.end(), rpc.waiting_, call.self);
}

// Whether its reply was refused.
bool Rpc::is_refused(const Call& call) const noexcept {
  if (interposer_.refusal().empty()) return false;
  const std::uint64_t refused = interposer_.refused_call();
  return refused != ReplyGate::kNoCall ? call.number == refused : call.page > 0;
}

void Rpc::set_alarm() {
  if (alarm_is_set_ || waiting_.empty()) return;
  alarm_is_set_ = true;
  alarm_.set(waiting_.front().deadline, [this] { expire(); });
}

void Rpc::expire() {
  alarm_is_set_ = false;
  const auto silence = std::chrono::duration<double>{client_context_.config.timeout}.count();
  if (!open_) return fail(fmt::format("no answer to the connection for {:g} s", silence));
  abandon_expired();
  if (is_hung()) return fail(fmt::format("no reply to {} requests for {:g} s", abandoned_.size(), silence));
  set_alarm();
  deliver();
}

void Rpc::abandon_expired() {
  const auto now = std::chrono::steady_clock::now();
  while (!waiting_.empty() && waiting_.front().deadline <= now) {
    Call& call = waiting_.front();
    call.procedure->seconds.observe(now - call.started);
    completed_.push_back({this, call.procedure, std::move(call.caller)});
    completed_.back().status = Status::timeout;
    abandoned_.splice(abandoned_.end(), waiting_, call.self);
    if (call.number >= started_before_reply_) ++silent_timeouts_;
  }
}

bool Rpc::is_hung() const noexcept {
  const auto silence = client_context_.intervals.silence + client_context_.config.timeout;
  const bool is_silent = std::chrono::steady_clock::now() - heard_ >= silence;
  return silent_timeouts_ >= (is_silent ? 1 : kSilentTimeouts) || abandoned_.size() >= kMaxAbandoned;
}

void Rpc::deliver() {
  std::list<Call> batch;
  batch.swap(completed_);
  const auto deferred = client_context_.deferred;  // which a completion may give up
  deferred->turn([this, &batch, life = std::weak_ptr{life_}] {
    for (Call& call : batch) {
      std::exchange(call.caller, nullptr)->tell(call.status);
      if (life.expired()) return;
    }
    spare_.splice(spare_.end(), batch);
  });
}

void Rpc::deliver_later() {
  asio::post(client_context_.io, [this, life = std::weak_ptr{life_}] {
    if (!life.expired()) deliver();
  });
}

void Rpc::fail(const std::string& why) {
  alarm_.cancel();
  close();
  complete_forgotten();
  const std::weak_ptr life{life_};
  deliver();
  if (life.expired()) return;
  const auto lost = std::move(lost_);
  lost(why);
}

// From 6 on, libnfs forgets a request whose reply had come in part.
void Rpc::complete_forgotten() {
  while (!waiting_.empty()) finish(waiting_.front(), Status::lost);
  abandoned_.clear();
}

void Rpc::close() noexcept {
  open_ = false;
  if (descriptor_.is_open()) (void)::close(descriptor_.release());
  assert(!in_libnfs_);
  in_libnfs_ = true;
  if (context_ != nullptr) rpc_destroy_context(std::exchange(context_, nullptr));
  in_libnfs_ = false;
}

// Whether the server has closed in order, and nothing is left to be read.
bool Rpc::has_ended() const {
  char byte = 0;
  return ::recv(socket_, &byte, sizeof byte, MSG_PEEK | MSG_DONTWAIT) == 0;
}

// Why rpc_service() failed. Our interposer only tells libnfs that it did. libnfs says nothing when the peer has closed,
// and might still hold an older text.
std::string Rpc::failure() const {
  if (!interposer_.refusal().empty()) return interposer_.refusal();
  char byte = 0;
  if (has_ended()) return "the server closed the connection";
  if (::recv(socket_, &byte, sizeof byte, MSG_PEEK | MSG_DONTWAIT) < 0 && errno != EAGAIN) return text(errno);
  const char* const error = rpc_get_error(context_);
  return error != nullptr ? error : "libnfs gives no reason";
}

}  // namespace qatime::nfs

// Exports may demand a source port below 1024 ("secure"), and libnfs takes one, where it may, that this does not know.
// The one of the C library may ask a directory service, and hang in it, before each connection. So the program has its
// own, as socket_interposer.cc has recv(): services keep what the kernel's clients leave them (sunrpc.min_resvport),
// and some more.
servent* getservbyport(int port, const char* /*protocol*/) {
  constexpr std::uint16_t kFirst = 665;
  constexpr std::array<std::uint16_t, 9> kServices{749, 783, 853, 873, 953, 990, 992, 993, 995};
  static servent known{};
  const std::uint16_t number = ntohs(static_cast<std::uint16_t>(port));
  return number < kFirst || std::ranges::count(kServices, number) > 0 ? &known : nullptr;
}
