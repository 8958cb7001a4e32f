// SPDX-License-Identifier: MIT
#include "listen/udp_listener.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>
#include <chrono>
#include <climits>
#include <string_view>

#include <boost/asio/ip/v6_only.hpp>
#include <linux/sock_diag.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/loop.h"
#include "ingest/logger.h"
#include "ingest/parse/framing.h"
#include "listen/listen_error.h"

namespace qatime::ingest {
namespace {

using boost::asio::ip::udp;
using boost::system::error_code;
using namespace std::chrono_literals;

constexpr std::size_t kDatagrams = 64;        // of one recvmmsg
constexpr std::size_t kMaxDatagram = 65'535;  // bytes, of IPv4 and IPv6 without jumbograms
constexpr int kBatchesPerTurn = 16;
constexpr auto kLookInterval = 1s;
// Where datagrams come by so many in a turn, the next turn waits until there are more of them: it costs the same. Even
// 200,000 a second fill no more than a quarter of the kernel's default buffer meanwhile. The socket is out of Asio's
// hands then: epoll would wake the thread for what comes, whether it is waited for or not.
constexpr std::size_t kBusy = 16;
constexpr auto kRest = 250us;
constexpr int kRests = 4;  // after such a turn: senders have bursts, whose first datagrams would wake it one by one

}  // namespace

// The buffers of one recvmmsg.
class UdpListener::Datagrams {
 public:
  struct Datagram {
    std::string_view bytes;
    bool is_cut = false;
  };

  // The kernel tells the senders only if they are wanted: it takes time.
  Datagrams(std::size_t max_message, bool with_senders) : with_senders_{with_senders} {
    const std::size_t size = std::min(max_message, kMaxDatagram) + 1;  // its terminator
    // A stride that is no power of two, or all the datagrams would share a few sets of the caches.
    const std::size_t stride = size + 320;
    storage_ = std::make_unique_for_overwrite<char[]>(stride * kDatagrams);
    for (std::size_t i = 0; i < kDatagrams; ++i) {
      pieces_[i] = {storage_.get() + i * stride, size};
      headers_[i].msg_hdr.msg_iov = &pieces_[i];
      headers_[i].msg_hdr.msg_iovlen = 1;
    }
  }

  // How many datagrams came, or -1 and errno.
  int receive(int socket) {
    for (std::size_t i = 0; with_senders_ && i < kDatagrams; ++i) {
      headers_[i].msg_hdr.msg_name = &senders_[i];
      headers_[i].msg_hdr.msg_namelen = sizeof senders_[i];
    }
    return recvmmsg(socket, headers_.data(), kDatagrams, MSG_DONTWAIT, nullptr);
  }

  [[nodiscard]] Datagram operator[](std::size_t i) const {
    return {{static_cast<const char*>(pieces_[i].iov_base), headers_[i].msg_len},
            (headers_[i].msg_hdr.msg_flags & MSG_TRUNC) != 0};
  }

  // If they are wanted.
  [[nodiscard]] Address sender(std::size_t i) const {
    return address_of(*static_cast<const sockaddr*>(headers_[i].msg_hdr.msg_name));
  }

 private:
  std::unique_ptr<char[]> storage_;
  std::array<iovec, kDatagrams> pieces_{};
  std::array<mmsghdr, kDatagrams> headers_{};
  bool with_senders_;
  std::array<sockaddr_storage, kDatagrams> senders_{};
};

UdpListener::UdpListener(boost::asio::io_context& context, const SyslogConfig::Listener& listener,
                         const SyslogConfig& config, Intake& intake, metrics::Registry& registry)
    : socket_{context},
      look_due_{context},
      rest_{context},
      max_message_{config.max_message},
      wanted_buffer_{config.udp_receive_buffer},
      allow_{config.allow},
      intake_{intake},
      batch_{std::make_unique<Datagrams>(config.max_message, !config.allow.empty())},
      buffer_bytes_{registry.gauge("qatime_udp_buffer_bytes", "Receive buffer of the UDP sockets.")},
      buffer_used_{registry.gauge("qatime_udp_buffer_used_bytes",
                                  "How much of qatime_udp_buffer_bytes holds datagrams, looked at once a second.")},
      drops_{registry.counter("qatime_udp_kernel_drops_total", "Datagrams that the kernel dropped.")} {
  open(listener);
  kLog.info("listening on {}", log::field("listener", describe({listener.transport, listener.address, port()})));
  size_buffer();
  await_data();
  await_look();
}

UdpListener::~UdpListener() {
  close();
  set_used(0);
  buffer_bytes_.add(-static_cast<std::int64_t>(buffer_));
}

std::uint16_t UdpListener::port() const { return endpoint_.port(); }

void UdpListener::reconfigure(const SyslogConfig& config) {
  assert(thread_.is_current());
  if (max_message_ != config.max_message || allow_.empty() != config.allow.empty()) {
    batch_ = std::make_unique<Datagrams>(config.max_message, !config.allow.empty());
  }
  max_message_ = config.max_message;
  allow_ = config.allow;
  if (wanted_buffer_ == config.udp_receive_buffer || !watch()) return;
  wanted_buffer_ = config.udp_receive_buffer;
  size_buffer();
}

void UdpListener::open(const SyslogConfig::Listener& listener) {
  try {
    const udp::endpoint endpoint{boost::asio::ip::make_address(listener.address), listener.port};
    socket_.open(endpoint.protocol());
    if (endpoint.protocol() == udp::v6()) socket_.set_option(boost::asio::ip::v6_only{true});
    socket_.bind(endpoint);
    endpoint_ = socket_.local_endpoint();
    descriptor_ = socket_.native_handle();
  } catch (const boost::system::system_error& error) {
    throw ListenError{listener, error.code().message()};
  }
}

// The kernel grants up to net.core.rmem_max. It reports twice of that, for its own overhead (socket(7)); Asio halves
// it.
void UdpListener::size_buffer() {
  error_code ignored;
  loop::UdpSocket::receive_buffer_size option{static_cast<int>(std::min<std::size_t>(wanted_buffer_, INT_MAX / 2))};
  socket_.set_option(option, ignored);
  socket_.get_option(option, ignored);
  const auto granted = static_cast<std::size_t>(option.value());
  buffer_bytes_.add(static_cast<std::int64_t>(granted) - static_cast<std::int64_t>(buffer_));
  buffer_ = granted;
  if (buffer_ < wanted_buffer_) {
    kLog.warning("the UDP receive buffer is {} bytes instead of {}: bursts may be lost; sysctl -w net.core.rmem_max={}",
                 log::field("bytes", buffer_), wanted_buffer_, wanted_buffer_);
  } else {
    kLog.info("the UDP receive buffer is {} bytes", log::field("bytes", buffer_));
  }
}

// Returns whether the socket is in Asio's hands. Where it cannot be, there is another time.
bool UdpListener::watch() {
  error_code error;
  if (!socket_.is_open()) socket_.assign(endpoint_.protocol(), descriptor_, error);
  return !error;
}

void UdpListener::await_data() {
  if (!watch()) return rest();
  socket_.async_wait(loop::UdpSocket::wait_read, [this](const error_code& error) {
    if (!error && is_open()) take_turn();
  });
}

void UdpListener::rest() {
  if (socket_.is_open()) (void)socket_.release();
  rest_.expires_after(kRest);
  rest_.async_wait([this](const error_code& error) {
    if (!error && is_open()) take_turn();
  });
}

void UdpListener::take_turn() {
  std::size_t count = 0;
  for (int i = 0; i < kBatchesPerTurn; ++i) {
    const std::size_t more = receive();
    count += more;
    if (more < kDatagrams) break;
  }
  rests_left_ = count >= kBusy ? kRests : std::max(rests_left_ - 1, 0);
  if (rests_left_ == 0 || count == kBatchesPerTurn * kDatagrams) return await_data();
  rest();
}

// Returns how many datagrams came: kDatagrams if there may be more.
std::size_t UdpListener::receive() {
  assert(thread_.is_current());
  const int count = batch_->receive(descriptor_);
  if (count < 0) {
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return 0;
    const error_code error{errno, boost::system::system_category()};
    kLog.warning(receive_errors_, "cannot receive over UDP: {}", error.message());
    return 0;
  }
  const auto size = static_cast<std::size_t>(count);
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < size; ++i) bytes += (*batch_)[i].bytes.size();
  intake_.begin(Transport::udp, bytes);
  for (std::size_t i = 0; i < size; ++i) {
    const Datagrams::Datagram datagram = (*batch_)[i];
    const std::string_view message = strip_trailer(datagram.bytes);
    if (message.empty()) continue;
    if (!allow_.empty() && !is_allowed(batch_->sender(i))) {
      intake_.reject(Ignored::sender);
    } else if (datagram.is_cut || message.size() > max_message_) {
      intake_.reject(Malformed::too_long);
    } else {
      intake_.message(message);
    }
  }
  intake_.flush();
  return size;
}

bool UdpListener::is_allowed(const Address& sender) {
  if (contains(allow_, sender)) return true;
  if (const auto times = strangers_.admit()) {
    kLog.repeated(log::Level::warning, strangers_, *times, "syslog.allow does not have {}: its datagrams are ignored",
                  log::field("peer", format_address(sender)));
  }
  return false;
}

void UdpListener::await_look() {
  look_due_.expires_after(kLookInterval);
  look_due_.async_wait([this](const error_code& error) {
    if (error || !is_open()) return;
    look_at_buffer();
    await_look();
  });
}

void UdpListener::look_at_buffer() {
  std::array<std::uint32_t, SK_MEMINFO_VARS> info{};
  socklen_t size = sizeof info;
  if (getsockopt(descriptor_, SOL_SOCKET, SO_MEMINFO, info.data(), &size) != 0) return;
  drops_.add(info[SK_MEMINFO_DROPS] - counted_drops_);
  counted_drops_ = info[SK_MEMINFO_DROPS];
  // In the kernel's measure, like the size that it reports.
  set_used(info[SK_MEMINFO_RMEM_ALLOC] / 2);
}

void UdpListener::set_used(std::size_t bytes) {
  buffer_used_.add(static_cast<std::int64_t>(bytes) - static_cast<std::int64_t>(used_));
  used_ = bytes;
}

void UdpListener::drain_and_close() {
  assert(thread_.is_current());
  if (!is_open()) return;
  const auto deadline = std::chrono::steady_clock::now() + kDrainLimit;
  while (receive() == kDatagrams && std::chrono::steady_clock::now() < deadline) {
  }
  look_at_buffer();
  look_due_.cancel();
  rest_.cancel();
  close();
}

void UdpListener::close() {
  error_code ignored;
  if (socket_.is_open()) {
    socket_.close(ignored);
  } else if (is_open()) {
    ::close(descriptor_);
  }
  descriptor_ = -1;
}

}  // namespace qatime::ingest
