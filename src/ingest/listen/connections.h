// SPDX-License-Identifier: MIT
// The open syslog connections of all listeners.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
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
#include "ingest/listen/tls.h"
#include "telemetry/metrics.h"

namespace qatime::ingest {

// A peer outside `syslog.allow` is closed at once. Of the others it reads whatever comes, whether or not there is use
// for it, so that a cluster waits only where the backlog has no room. When max_connections are open, the oldest that
// never sent a record makes room for a new one; if all did, the new one is refused.
//
// Lives on the thread that runs the io_context of the sockets, and is destroyed when that no longer runs.
class Connections {
 public:
  // What the unfinished messages of all connections may hold together; beyond that the largest are dropped.
  static constexpr std::size_t kMaxUnfinished = 64 << 20;  // bytes

  // A peer that has not shown by then who it is has its place for nothing.
  static constexpr std::chrono::seconds kHandshakeLimit{10};

  // `intake` and `registry` outlive this.
  Connections(const SyslogConfig& config, Intake& intake, metrics::Registry& registry,
              std::chrono::milliseconds handshake_limit = kHandshakeLimit);
  ~Connections();
  Connections(const Connections&) = delete;
  Connections& operator=(const Connections&) = delete;

  // Goes by the limits of `config` from now on. Who is allowed no longer is closed; beyond max_connections no more are
  // taken in, and those that are open stay.
  void reconfigure(const SyslogConfig& config);

  // What connections over TLS begin with from now on; those that are open go on as they are.
  void secure(std::shared_ptr<const TlsSettings> settings) { tls_ = std::move(settings); }

  // Takes over a connection that was just accepted, or closes it. `transport` is tcp, or tls after secure().
  void admit(loop::TcpSocket socket, Transport transport);

  [[nodiscard]] std::size_t size() const noexcept { return unproven_.size() + proven_.size(); }

  // Takes in what has arrived on every connection, for kDrainLimit at most, then closes everything. An unfinished
  // message is lost. Blocks the thread.
  void drain_and_close();

 private:
  struct SyslogConnection;
  using List = std::list<std::shared_ptr<SyslogConnection>>;
  struct Turn {
    std::size_t bytes = 0;  // read in this turn
    bool is_more = false;   // to be read at once
    bool open = true;
  };
  enum class Refused : std::uint8_t { allow, full, displaced, handshake, certificate, timeout };

  [[nodiscard]] std::optional<bool> is_allowed(const loop::TcpSocket& socket);
  void close_strangers(const List& connections);
  [[nodiscard]] bool make_room();
  void limit_handshake(const std::shared_ptr<SyslogConnection>& connection);
  bool shake_hands(SyslogConnection& connection, Turn& turn);
  void refuse_tls(SyslogConnection& connection, Refused reason, std::string_view why);
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
  std::vector<Network> allow_;
  const std::chrono::milliseconds handshake_limit_;
  Intake& intake_;
  metrics::Gauge& open_tcp_;
  metrics::Gauge& open_tls_;
  std::array<metrics::Counter*, 6> refused_;  // by Refused
  log::Throttle refusals_;
  log::Throttle strangers_;
  log::Throttle failures_;
  std::shared_ptr<const TlsSettings> tls_;
  List unproven_;  // never sent a record, the oldest first
  List proven_;
  std::size_t unfinished_ = 0;  // bytes that the connections' framers hold between turns
};

}  // namespace qatime::ingest
