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
#include "listen/connections.h"

namespace qatime::ingest {

// One listening socket. It pauses while the process has no descriptors left. An IPv6 address takes no IPv4 connections.
//
// Thread: the one that runs the io_context. Destroy this only after the io_context has stopped.
class TcpListener {
 public:
  // Starts to listen. Throws ListenError. `connections` takes the accepted connections and outlives the listener. For
  // TLS, call its secure() first.
  TcpListener(boost::asio::io_context& context, const SyslogConfig::Listener& listener, Connections& connections);
  TcpListener(const TcpListener&) = delete;
  TcpListener& operator=(const TcpListener&) = delete;

  [[nodiscard]] std::uint16_t port() const;

  // Accepts the connections that wait, for at most kDrainLimit, then closes the socket.
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
