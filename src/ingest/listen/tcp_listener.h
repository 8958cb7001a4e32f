// SPDX-License-Identifier: MIT
// Syslog over TCP (RFC 6587) and TLS (RFC 5425).
#pragma once

#include <cstdint>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "base/log.h"
#include "base/loop.h"
#include "base/thread_checker.h"
#include "config/config.h"
#include "ingest/listen/connections.h"

namespace qatime::ingest {

// One listening socket. While the process has no descriptors left, accepting pauses.
//
// Lives on the thread that runs the io_context, and is destroyed when that no longer runs. An IPv6 address takes no
// IPv4 connections.
class TcpListener {
 public:
  // Listens from here on. Throws ListenError. `connections` gets what is accepted, and outlives the listener; for TLS
  // it is secured before.
  TcpListener(boost::asio::io_context& context, const SyslogConfig::Listener& listener, Connections& connections);
  TcpListener(const TcpListener&) = delete;
  TcpListener& operator=(const TcpListener&) = delete;

  [[nodiscard]] std::uint16_t port() const;

  // Accepts what waits for it, for kDrainLimit at most, then no more.
  void close();

 private:
  enum class Accepted : std::uint8_t { some, all, paused };

  void open(const SyslogConfig::Listener& listener);
  void await_connection();
  Accepted accept_waiting();
  void pause_accepting(const boost::system::error_code& reason);

  ThreadChecker thread_;
  loop::TcpAcceptor acceptor_;
  loop::Timer accept_pause_;
  const Transport transport_;
  Connections& connections_;
  log::Throttle accept_errors_;
};

}  // namespace qatime::ingest
