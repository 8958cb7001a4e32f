// SPDX-License-Identifier: MIT
// The open syslog connections of all listeners.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <list>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/asio/ip/tcp.hpp>

#include "base/address.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/thread_checker.h"
#include "config/config.h"
#include "ingest/intake.h"
#include "listen/tls.h"
#include "telemetry/metrics.h"

namespace qatime::ingest {

// Closes a peer outside `syslog.allow` at once. Reads all bytes of the others, even malformed messages. So a cluster
// waits only when the backlog has no room.
//
// A connection from a balancer of `syslog.proxy_from` begins with a PROXY header, in front of TLS. The client that the
// header names is the peer then.
//
// Bounds: when max_connections are open, a new connection replaces the oldest that never sent a record. If all have
// sent one, it refuses the new connection.
// Thread: the one that runs the io_context of the sockets. Destroy this only after the io_context has stopped.
class Connections {
 public:
  // The bound for the unfinished messages of all connections together. Beyond it, the largest are dropped.
  static constexpr std::size_t kMaxUnfinished = 64 << 20;  // bytes

  // The time limit for PROXY header and TLS handshake together, because a peer without them would occupy its place for
  // nothing.
  static constexpr std::chrono::seconds kHandshakeLimit{10};

  // `intake` and `registry` outlive this.
  Connections(const SyslogConfig& config, Intake& intake, metrics::Registry& registry,
              std::chrono::milliseconds handshake_limit = kHandshakeLimit);
  ~Connections();
  Connections(const Connections&) = delete;
  Connections& operator=(const Connections&) = delete;

  // Adopts the limits of `config`. Closes connections whose peers are no longer allowed; the peer of a connection from
  // a balancer that has left `syslog.proxy_from` is the balancer. Connections beyond a lower max_connections stay open.
  void reconfigure(const SyslogConfig& config);

  // Sets how many may be open, whatever max_connections allows: what the limit of open files leaves them. Before the
  // loop runs.
  void set_most(std::size_t most) noexcept { most_ = most; }

  // Sets the TLS settings of new connections. Open connections keep theirs.
  void secure(std::shared_ptr<const TlsSettings> settings) { tls_ = std::move(settings); }

  // Takes over a connection just accepted from `address`, or closes it. `transport` is tcp, or tls after secure().
  void admit(loop::TcpSocket socket, const Address& address, Transport transport);

  [[nodiscard]] std::size_t size() const noexcept { return unproven_.size() + proven_.size(); }

  // Reads the bytes that have arrived on every connection, for at most kDrainLimit, then closes all. Unfinished
  // messages are lost. Blocks the thread.
  void drain_and_close();

 private:
  struct SyslogConnection;
  using List = std::list<std::shared_ptr<SyslogConnection>>;
  struct Turn {
    std::size_t bytes = 0;  // read in this turn
    bool is_more = false;   // more bytes are there to read
    bool open = true;
  };
  enum class Refused : std::uint8_t { allow, full, displaced, handshake, certificate, timeout, proxy };

  [[nodiscard]] const Address& peer_of(const SyslogConnection& connection) const noexcept;
  [[nodiscard]] bool is_allowed(const Address& peer);
  void close_strangers(const List& connections);
  [[nodiscard]] bool make_room();
  void limit_begin(const std::shared_ptr<SyslogConnection>& connection);
  bool begin(SyslogConnection& connection, Turn& turn);
  bool take_header(SyslogConnection& connection);
  bool await_balancer(SyslogConnection& connection);
  bool let_in(SyslogConnection& connection);
  bool shake_hands(SyslogConnection& connection);
  void refuse_header(const SyslogConnection& connection, std::string_view why);
  void refuse_tls(const SyslogConnection& connection, Refused reason, std::string_view why);
  void await_turn(const std::shared_ptr<SyslogConnection>& connection, bool is_more);
  Turn read(SyslogConnection& connection);
  bool read_once(SyslogConnection& connection, Turn& turn);
  void end_turn(SyslogConnection& connection);
  void bound_unfinished(SyslogConnection& latest);
  void prove(SyslogConnection& connection);
  void close(SyslogConnection& connection);
  void tell(const char* what, const SyslogConnection& connection) const;
  void count(Refused reason) noexcept { refused_[static_cast<std::size_t>(reason)]->add(); }
  [[nodiscard]] metrics::Gauge& open_like(const SyslogConnection& connection) noexcept;
  void close_all();
  bool drain(List& connections);

  ThreadChecker thread_;
  std::size_t max_message_;
  std::size_t max_connections_;
  std::size_t most_ = std::numeric_limits<std::size_t>::max();
  std::vector<Network> allow_;
  std::vector<Network> proxy_from_;
  const std::chrono::milliseconds handshake_limit_;
  Intake& intake_;
  metrics::Gauge& open_tcp_;
  metrics::Gauge& open_tls_;
  std::array<metrics::Counter*, 7> refused_;  // by Refused
  log::Throttle refusals_;
  log::Throttle strangers_;
  log::Throttle failures_;
  log::Throttle headers_;
  std::shared_ptr<const TlsSettings> tls_;
  List unproven_;  // have sent no record, the oldest first
  List proven_;
  std::size_t unfinished_ = 0;  // bytes that all framers hold between turns
};

}  // namespace qatime::ingest
