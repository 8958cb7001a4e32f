// SPDX-License-Identifier: MIT
// Syslog over TCP (RFC 6587).
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>

#include "address.h"
#include "config.h"
#include "ingest/intake.h"
#include "metrics.h"

namespace qatime::ingest {

// One listening socket and its connections. A peer outside `syslog.allow` is closed at once. It reads
// whatever comes, whether or not there is use for it: a cluster is never made to wait. When max_connections are open,
// the oldest that never sent a record makes room for a new one; if all did, the new one is refused.
//
// Lives on the thread that runs the io_context, and is destroyed when that no longer runs. An IPv6 address takes no
// IPv4 connections.
class TcpListener {
 public:
  // What the unfinished messages of all connections may hold together; beyond that the largest are dropped.
  static constexpr std::size_t kMaxUnfinished = 64 << 20;  // bytes

  // Listens from here on. Throws ListenError. `intake` and `registry` outlive the listener.
  TcpListener(boost::asio::io_context& context, const SyslogConfig::Listener& listener, const SyslogConfig& config,
              Intake& intake, metrics::Registry& registry);
  ~TcpListener();
  TcpListener(const TcpListener&) = delete;
  TcpListener& operator=(const TcpListener&) = delete;

  [[nodiscard]] std::uint16_t port() const;

  // Takes in what has arrived on every connection, for a second at most, then closes everything. An unfinished message
  // is lost. Blocks the thread.
  void drain_and_close();

 private:
  enum class Accepted : std::uint8_t { some, all, paused };
  struct Connection;
  using Connections = std::list<std::shared_ptr<Connection>>;
  struct Turn {
    std::size_t bytes = 0;  // read in this turn
    bool open = true;
  };

  void open(const SyslogConfig::Listener& listener);
  void await_connection();
  Accepted accept_waiting();
  void pause_accepting(const boost::system::error_code& reason);
  [[nodiscard]] bool is_allowed(const boost::asio::ip::tcp::socket& socket);
  void admit(boost::asio::ip::tcp::socket socket);
  void await_data(const std::shared_ptr<Connection>& connection);
  Turn read(Connection& connection);
  bool read_once(Connection& connection, Turn& turn);
  void deliver(Connection& connection);
  void deliver_rest(Connection& connection);
  void end_turn(Connection& connection);
  void bound_unfinished(Connection& latest);
  void prove(Connection& connection);
  void close(Connection& connection);
  void close_all();
  bool drain(Connections& connections);
  [[nodiscard]] std::size_t connections() const noexcept { return unproven_.size() + proven_.size(); }

  boost::asio::ip::tcp::acceptor acceptor_;
  boost::asio::steady_timer accept_pause_;
  const std::size_t max_message_;
  const std::size_t max_connections_;
  const std::vector<Network> allow_;
  Intake& intake_;
  metrics::Gauge& open_;
  metrics::Counter& refused_;
  metrics::Counter& displaced_;
  metrics::Counter& not_allowed_;
  log::Throttle accept_errors_;
  log::Throttle refusals_;
  log::Throttle strangers_;
  Connections unproven_;  // never sent a record, the oldest first
  Connections proven_;
  std::size_t unfinished_ = 0;  // bytes that the connections' framers hold between turns
};

}  // namespace qatime::ingest
