// SPDX-License-Identifier: MIT
// Syslog over UDP (RFC 5426): one datagram is one message.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/udp.hpp>

#include "base/address.h"
#include "base/loop.h"
#include "base/thread_checker.h"
#include "config/config.h"
#include "ingest/intake.h"
#include "telemetry/metrics.h"

namespace qatime::ingest {

// Counts a datagram from outside `syslog.allow` but does not parse it. An IPv6 address takes no IPv4 datagrams.
//
// Thread: the one that runs the io_context. Destroy this only after the io_context has stopped.
class UdpListener {
 public:
  // Starts to receive. Throws ListenError. `intake` and `registry` outlive the listener.
  UdpListener(boost::asio::io_context& context, const SyslogConfig::Listener& listener, const SyslogConfig& config,
              Intake& intake, metrics::Registry& registry);
  ~UdpListener();
  UdpListener(const UdpListener&) = delete;
  UdpListener& operator=(const UdpListener&) = delete;

  [[nodiscard]] std::uint16_t port() const;

  // Adopts the limits of `config` for the next read and those after it.
  void reconfigure(const SyslogConfig& config);

  // Reads the datagrams that have arrived, for at most kDrainLimit, then closes. Blocks the thread.
  void drain_and_close();

 private:
  class Datagrams;

  void open(const SyslogConfig::Listener& listener);
  void size_buffer();
  [[nodiscard]] bool is_open() const noexcept { return descriptor_ >= 0; }
  [[nodiscard]] bool watch();
  void await_data();
  void rest();
  void take_turn();
  std::size_t receive();
  [[nodiscard]] bool is_allowed(const Address& sender);
  void await_look();
  void look_at_buffer();
  void set_used(std::size_t bytes);
  void close();

  ThreadChecker thread_;
  loop::UdpSocket socket_;  // not open while it rests
  int descriptor_ = -1;     // of the socket, kept while it rests
  boost::asio::ip::udp::endpoint endpoint_;
  int rests_left_ = 0;  // until it waits for the next datagram
  loop::Timer look_due_;
  loop::Timer rest_;
  std::size_t max_message_;
  std::size_t wanted_buffer_;  // bytes
  std::vector<Network> allow_;
  Intake& intake_;
  std::unique_ptr<Datagrams> batch_;
  metrics::Gauge& buffer_bytes_;
  metrics::Gauge& buffer_used_;
  metrics::Counter& drops_;
  log::Throttle receive_errors_;
  log::Throttle strangers_;
  std::size_t buffer_ = 0;           // bytes, this socket's share of buffer_bytes_
  std::size_t used_ = 0;             // bytes, its share of buffer_used_
  std::uint32_t counted_drops_ = 0;  // the kernel's counter, which wraps, as counted so far
};

}  // namespace qatime::ingest
