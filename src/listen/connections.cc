// SPDX-License-Identifier: MIT
// A connection waits for data without a buffer. When there is some it has its turn: a few reads of as much as there
// is, each handed over as one batch; then the others have theirs. Between turns it holds an unfinished message alone.
//
// A completed wait may be queued for a connection that makes room or is closed meanwhile. So its handler shares the
// ownership of it and looks whether its socket is still open.
#include "listen/connections.h"

#include <algorithm>
#include <cassert>
#include <chrono>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>

#include "base/loop.h"
#include "ingest/logger.h"
#include "ingest/message_stream.h"
#include "listen/proxy_header_reader.h"

namespace qatime::ingest {
namespace {

using boost::system::error_code;

constexpr int kReadsPerTurn = 4;

metrics::Counter* make_counter(metrics::Registry& registry, const char* reason) {
  return &registry.counter(
      "qatime_connections_refused_total",
      "Syslog connections closed because they are not allowed, have no room, or do not begin as they must.",
      {"reason", reason});
}

metrics::Gauge& make_gauge(metrics::Registry& registry, const char* transport) {
  return registry.gauge("qatime_connections", "Open syslog connections.", {"transport", transport});
}

}  // namespace

struct Connections::SyslogConnection {
  SyslogConnection(loop::TcpSocket accepted, const Address& from, std::size_t max_message, Transport transport,
                   Intake& intake)
      : socket{std::move(accepted)}, address{from}, stream{max_message, transport, intake, from} {}

  // The part of the stream that comes next.
  enum class Stage : std::uint8_t {
    header,     // a PROXY header
    balancer,   // the first byte of the balancer itself
    handshake,  // of TLS
    records,
  };
  Stage stage = Stage::records;
  loop::TcpSocket socket;
  const Address address;                      // of the other end
  std::optional<Address> client;              // whom a PROXY header names
  std::unique_ptr<ProxyHeaderReader> header;  // null: none is to come
  std::unique_ptr<TlsStream> tls;             // null: plain TCP
  std::optional<loop::Timer> limit;           // until there are records, where there is one
  MessageStream stream;
  bool proven = false;         // it sent a record
  std::size_t unfinished = 0;  // its share of Connections::unfinished_
  List::iterator place;        // in unproven_ or proven_
};

Connections::Connections(const SyslogConfig& config, Intake& intake, metrics::Registry& registry,
                         std::chrono::milliseconds handshake_limit)
    : max_message_{config.max_message},
      max_connections_{config.max_connections},
      allow_{config.allow},
      proxy_from_{config.proxy_from},
      handshake_limit_{handshake_limit},
      intake_{intake},
      open_tcp_{make_gauge(registry, "tcp")},
      open_tls_{make_gauge(registry, "tls")},
      refused_{make_counter(registry, "allow"),       make_counter(registry, "full"),
               make_counter(registry, "displaced"),   make_counter(registry, "handshake"),
               make_counter(registry, "certificate"), make_counter(registry, "timeout"),
               make_counter(registry, "proxy")} {}

Connections::~Connections() { close_all(); }

void Connections::reconfigure(const SyslogConfig& config) {
  assert(thread_.is_current());
  max_message_ = config.max_message;
  max_connections_ = config.max_connections;
  allow_ = config.allow;
  proxy_from_ = config.proxy_from;
  for (const List* const list : {&unproven_, &proven_}) {
    for (const auto& connection : *list) connection->stream.set_max_message(max_message_);
    close_strangers(*list);
  }
}

void Connections::close_strangers(const List& connections) {
  const std::vector<std::shared_ptr<SyslogConnection>> all{connections.begin(), connections.end()};
  for (const auto& connection : all) {
    const bool is_judged = connection->stage >= SyslogConnection::Stage::handshake;
    if (is_judged && !is_allowed(peer_of(*connection))) close(*connection);
  }
}

// Only a balancer of syslog.proxy_from is believed.
const Address& Connections::peer_of(const SyslogConnection& connection) const noexcept {
  const bool is_believed = connection.client && contains(proxy_from_, connection.address);
  return is_believed ? *connection.client : connection.address;
}

bool Connections::is_allowed(const Address& peer) {
  if (allow_.empty() || contains(allow_, peer)) return true;
  count(Refused::allow);
  kLog.warning(strangers_, "syslog.allow does not have {}: its connections are closed",
               log::field("peer", format_address(peer)));
  return false;
}

// Returns whether one more connection may be open.
bool Connections::make_room() {
  const std::size_t most = std::min(max_connections_, most_);
  if (size() < most) return true;
  const bool is_refused = unproven_.empty();
  kLog.warning(refusals_, "{} of {} connections are open: {}", log::field("connections", size()), most,
               is_refused ? "a new one is refused" : "the oldest without a record is closed for a new one");
  count(is_refused ? Refused::full : Refused::displaced);
  if (!is_refused) close(*unproven_.front());
  return !is_refused;
}

metrics::Gauge& Connections::open_like(const SyslogConnection& connection) noexcept {
  return connection.tls ? open_tls_ : open_tcp_;
}

void Connections::admit(loop::TcpSocket socket, const Address& address, Transport transport) {
  assert(thread_.is_current());
  const bool has_header = contains(proxy_from_, address);
  if ((!has_header && !is_allowed(address)) || !make_room()) return;
  error_code ignored;  // a peer that has gone already shows at the first read
  socket.non_blocking(true, ignored);
  socket.set_option(boost::asio::socket_base::keep_alive{true}, ignored);
  const auto connection =
      std::make_shared<SyslogConnection>(std::move(socket), address, max_message_, transport, intake_);
  connection->place = unproven_.insert(unproven_.end(), connection);
  if (transport == Transport::tls) {
    connection->tls = std::make_unique<TlsStream>(tls_, connection->socket.native_handle());
    connection->stage = SyslogConnection::Stage::handshake;
  }
  if (has_header) {
    connection->header = std::make_unique<ProxyHeaderReader>();
    connection->stage = SyslogConnection::Stage::header;
  }
  if (connection->stage != SyslogConnection::Stage::records) limit_begin(connection);
  open_like(*connection).add(1);
  tell("open", *connection);
  await_turn(connection, false);
}

void Connections::tell(const char* what, const SyslogConnection& connection) const {
  if (!log::enabled(log::Level::debug)) return;
  kLog.debug("connection with {} {}, {} in all", log::field("peer", format_address(peer_of(connection))), what,
             log::field("connections", size()));
}

void Connections::limit_begin(const std::shared_ptr<SyslogConnection>& connection) {
  auto& limit = connection->limit.emplace(connection->socket.get_executor(), handshake_limit_);
  limit.async_wait([this, connection](const error_code&) {
    if (!connection->limit) return;
    constexpr std::string_view kWhy = "it takes too long";
    if (connection->header) {
      refuse_header(*connection, kWhy);
    } else {
      refuse_tls(*connection, Refused::timeout, kWhy);
    }
    close(*connection);
  });
}

// Goes on to the records. Returns whether they are next. Each stage returns whether the connection stays open.
bool Connections::begin(SyslogConnection& connection, Turn& turn) {
  using Stage = SyslogConnection::Stage;
  if (connection.stage == Stage::header) turn.open = take_header(connection);
  if (turn.open && connection.stage == Stage::balancer) turn.open = await_balancer(connection);
  if (turn.open && connection.stage == Stage::handshake) turn.open = shake_hands(connection);
  return turn.open && connection.stage == Stage::records;
}

bool Connections::take_header(SyslogConnection& connection) {
  using State = ProxyHeaderReader::HeaderState;
  const State state = connection.header->read(connection.socket);
  if (state == State::unfinished || state == State::departed) return state == State::unfinished;
  if (state == State::failed) {
    refuse_header(connection, connection.header->failure());
    return false;
  }
  const ProxySource source = connection.header->source();
  connection.header.reset();
  if (!connection.tls) connection.limit.reset();
  if (source.kind == ProxySource::Kind::balancer || source.address == connection.address) {
    connection.stage = SyslogConnection::Stage::balancer;
    return true;
  }
  connection.client = source.address;
  tell("comes through a balancer", connection);
  return let_in(connection);
}

// A balancer's own connection is judged by its first byte, because a health check sends none.
bool Connections::await_balancer(SyslogConnection& connection) {
  char byte = 0;
  error_code error;
  connection.socket.receive(boost::asio::buffer(&byte, 1), loop::TcpSocket::message_peek, error);
  if (error) return error == boost::asio::error::would_block;
  return let_in(connection);
}

bool Connections::let_in(SyslogConnection& connection) {
  connection.stage = connection.tls ? SyslogConnection::Stage::handshake : SyslogConnection::Stage::records;
  return is_allowed(peer_of(connection));
}

bool Connections::shake_hands(SyslogConnection& connection) {
  const TlsStream::Handshake state = connection.tls->shake_hands();
  if (state == TlsStream::Handshake::unfinished) return true;
  connection.limit.reset();
  if (state == TlsStream::Handshake::done) {
    connection.stage = SyslogConnection::Stage::records;
    return true;
  }
  if (state != TlsStream::Handshake::departed) {
    refuse_tls(connection, state == TlsStream::Handshake::untrusted ? Refused::certificate : Refused::handshake,
               connection.tls->failure());
  }
  return false;
}

void Connections::refuse_header(const SyslogConnection& connection, std::string_view why) {
  count(Refused::proxy);
  kLog.warning(headers_, "no PROXY header from {}, which syslog.proxy_from has: {}",
               log::field("peer", format_address(connection.address)), log::field("why", why));
}

void Connections::refuse_tls(const SyslogConnection& connection, Refused reason, std::string_view why) {
  count(reason);
  kLog.warning(failures_, "no TLS connection with {}: {}", log::field("peer", format_address(peer_of(connection))),
               log::field("why", why));
}

// When there is something to read, or behind the turns of the others if there is more already: the socket does not say
// so of what the TLS stream holds.
void Connections::await_turn(const std::shared_ptr<SyslogConnection>& connection, bool is_more) {
  auto take_turn = [this, connection](const error_code& = {}) {
    if (!connection->socket.is_open()) return;
    const Turn turn = read(*connection);
    if (turn.open) {
      end_turn(*connection);
      await_turn(connection, turn.is_more);
    } else {
      close(*connection);
    }
  };
  const bool for_write = connection->tls && connection->tls->wants_write();
  if (is_more) {
    boost::asio::post(connection->socket.get_executor(), std::move(take_turn));
  } else {
    connection->socket.async_wait(for_write ? loop::TcpSocket::wait_write : loop::TcpSocket::wait_read,
                                  std::move(take_turn));
  }
}

Connections::Turn Connections::read(SyslogConnection& connection) {
  Turn turn;
  if (connection.stage != SyslogConnection::Stage::records && !begin(connection, turn)) return turn;
  turn.is_more = true;
  for (int i = 0; i < kReadsPerTurn && turn.is_more; ++i) turn.is_more = read_once(connection, turn);
  return turn;
}

// Returns whether there may be more.
bool Connections::read_once(SyslogConnection& connection, Turn& turn) {
  const std::span<char> space = connection.stream.writable();
  error_code error;
  const std::size_t size = connection.tls
                               ? connection.tls->read_some(space, error)
                               : connection.socket.read_some(boost::asio::buffer(space.data(), space.size()), error);
  if (size > 0) {
    turn.bytes += size;
    if (connection.stream.take(size) && !connection.proven) prove(connection);
  }
  if (!error) return size == space.size();
  if (error == boost::asio::error::would_block) return false;
  // After a reset what there is of a message is not one: a cut may look whole.
  if (error == boost::asio::error::eof) connection.stream.end();
  turn.open = false;
  return false;
}

void Connections::end_turn(SyslogConnection& connection) {
  connection.stream.trim();
  unfinished_ += connection.stream.memory() - connection.unfinished;
  connection.unfinished = connection.stream.memory();
  if (unfinished_ > kMaxUnfinished) bound_unfinished(connection);
}

// Drops the largest unfinished message of all; `latest` has one.
void Connections::bound_unfinished(SyslogConnection& latest) {
  SyslogConnection* largest = &latest;
  for (const List* const list : {&unproven_, &proven_}) {
    for (const auto& connection : *list) {
      if (connection->unfinished > largest->unfinished) largest = connection.get();
    }
  }
  largest->stream.abandon();
  unfinished_ -= largest->unfinished - largest->stream.memory();
  largest->unfinished = largest->stream.memory();
}

void Connections::prove(SyslogConnection& connection) {
  connection.proven = true;
  proven_.splice(proven_.end(), unproven_, connection.place);
}

void Connections::close(SyslogConnection& connection) {
  error_code ignored;
  connection.limit.reset();
  if (connection.tls) connection.tls->close();
  tell("ends", connection);
  connection.socket.close(ignored);
  unfinished_ -= connection.unfinished;
  open_like(connection).add(-1);
  (connection.proven ? proven_ : unproven_).erase(connection.place);  // the last owner may be the caller
}

void Connections::close_all() {
  while (size() > 0) close(unproven_.empty() ? *proven_.front() : *unproven_.front());
}

void Connections::drain_and_close() {
  assert(thread_.is_current());
  const auto deadline = std::chrono::steady_clock::now() + kDrainLimit;
  bool is_more = true;
  while (is_more && std::chrono::steady_clock::now() < deadline) {
    const bool first = drain(unproven_);
    is_more = drain(proven_) || first;
  }
  close_all();
}

// Gives each of `connections` a turn. Returns whether anything came.
bool Connections::drain(List& connections) {
  bool is_any = false;
  // A turn may move its connection to the other list, or end it.
  const std::vector<std::shared_ptr<SyslogConnection>> all{connections.begin(), connections.end()};
  for (const auto& connection : all) {
    const Turn turn = read(*connection);
    is_any = is_any || turn.bytes > 0;
    if (turn.open) {
      end_turn(*connection);
    } else {
      close(*connection);
    }
  }
  return is_any;
}

}  // namespace qatime::ingest
