// SPDX-License-Identifier: MIT
// A connection waits for data without a buffer. When there is some it has its turn: a few reads of as much as there
// is, each handed over as one batch; then the others have theirs. Between turns it holds an unfinished message alone.
//
// A completed wait may be queued for a connection that makes room or is closed meanwhile. So its handler shares the
// ownership of it and looks whether its socket is still open.
#include "ingest/listen/connections.h"

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

namespace qatime::ingest {
namespace {

using boost::asio::ip::tcp;
using boost::system::error_code;

constexpr int kReadsPerTurn = 4;

metrics::Counter* make_counter(metrics::Registry& registry, const char* reason) {
  return &registry.counter(
      "qatime_connections_refused_total",
      "Syslog connections closed because they are not allowed, have no room, or do not get to TLS.",
      {"reason", reason});
}

metrics::Gauge& make_gauge(metrics::Registry& registry, const char* transport) {
  return registry.gauge("qatime_connections", "Open syslog connections.", {"transport", transport});
}

std::string peer_of(const loop::TcpSocket& socket) {
  error_code error;
  const tcp::endpoint peer = socket.remote_endpoint(error);
  return error ? "a peer that has gone" : peer.address().to_string();
}

}  // namespace

struct Connections::SyslogConnection {
  SyslogConnection(loop::TcpSocket accepted, std::size_t max_message, Transport transport, Intake& intake)
      : socket{std::move(accepted)}, stream{max_message, transport, intake} {}

  loop::TcpSocket socket;
  std::unique_ptr<TlsStream> tls;        // null: plain TCP
  std::optional<loop::Timer> handshake;  // its limit, while it goes on
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
      handshake_limit_{handshake_limit},
      intake_{intake},
      open_tcp_{make_gauge(registry, "tcp")},
      open_tls_{make_gauge(registry, "tls")},
      refused_{make_counter(registry, "allow"),       make_counter(registry, "full"),
               make_counter(registry, "displaced"),   make_counter(registry, "handshake"),
               make_counter(registry, "certificate"), make_counter(registry, "timeout")} {}

Connections::~Connections() { close_all(); }

void Connections::reconfigure(const SyslogConfig& config) {
  assert(thread_.is_current());
  max_message_ = config.max_message;
  max_connections_ = config.max_connections;
  allow_ = config.allow;
  for (const List* const list : {&unproven_, &proven_}) {
    for (const auto& connection : *list) connection->stream.set_max_message(max_message_);
    close_strangers(*list);
  }
}

void Connections::close_strangers(const List& connections) {
  const std::vector<std::shared_ptr<SyslogConnection>> all{connections.begin(), connections.end()};
  for (const auto& connection : all) {
    if (!is_allowed(connection->socket).value_or(true)) close(*connection);
  }
}

// Nothing for a peer that has gone already.
std::optional<bool> Connections::is_allowed(const loop::TcpSocket& socket) {
  if (allow_.empty()) return true;
  error_code error;
  const tcp::endpoint peer = socket.remote_endpoint(error);
  if (error) return std::nullopt;
  if (contains(allow_, address_of(*peer.data()))) return true;
  count(Refused::allow);
  kLog.warning(strangers_, "syslog.allow does not have {}: its connections are closed",
               log::field("peer", peer.address().to_string()));
  return false;
}

// Returns whether one more connection may be open.
bool Connections::make_room() {
  if (size() < max_connections_) return true;
  const bool is_refused = unproven_.empty();
  kLog.warning(refusals_, "{} of {} connections are open: {}", log::field("connections", size()), max_connections_,
               is_refused ? "a new one is refused" : "the oldest without a record is closed for a new one");
  count(is_refused ? Refused::full : Refused::displaced);
  if (!is_refused) close(*unproven_.front());
  return !is_refused;
}

metrics::Gauge& Connections::open_like(const SyslogConnection& connection) noexcept {
  return connection.tls ? open_tls_ : open_tcp_;
}

void Connections::admit(loop::TcpSocket socket, Transport transport) {
  assert(thread_.is_current());
  if (!is_allowed(socket).value_or(false) || !make_room()) return;
  error_code ignored;  // a peer that has gone already shows at the first read
  socket.non_blocking(true, ignored);
  socket.set_option(boost::asio::socket_base::keep_alive{true}, ignored);
  const auto connection = std::make_shared<SyslogConnection>(std::move(socket), max_message_, transport, intake_);
  connection->place = unproven_.insert(unproven_.end(), connection);
  if (transport == Transport::tls) {
    connection->tls = std::make_unique<TlsStream>(tls_, connection->socket.native_handle());
    limit_handshake(connection);
  }
  open_like(*connection).add(1);
  tell("open", *connection);
  await_turn(connection, false);
}

void Connections::tell(const char* what, const SyslogConnection& connection) const {
  if (!log::enabled(log::Level::debug)) return;
  kLog.debug("connection with {} {}, {} in all", log::field("peer", peer_of(connection.socket)), what,
             log::field("connections", size()));
}

void Connections::limit_handshake(const std::shared_ptr<SyslogConnection>& connection) {
  auto& limit = connection->handshake.emplace(connection->socket.get_executor(), handshake_limit_);
  limit.async_wait([this, connection](const error_code&) {
    if (!connection->handshake) return;
    refuse_tls(*connection, Refused::timeout, "it takes too long");
    close(*connection);
  });
}

// Returns whether it is done.
bool Connections::shake_hands(SyslogConnection& connection, Turn& turn) {
  const TlsStream::Handshake state = connection.tls->shake_hands();
  if (state == TlsStream::Handshake::unfinished) return false;
  connection.handshake.reset();
  if (state == TlsStream::Handshake::done) return true;
  if (state != TlsStream::Handshake::departed) {
    refuse_tls(connection, state == TlsStream::Handshake::untrusted ? Refused::certificate : Refused::handshake,
               connection.tls->failure());
  }
  turn.open = false;
  return false;
}

void Connections::refuse_tls(SyslogConnection& connection, Refused reason, std::string_view why) {
  count(reason);
  kLog.warning(failures_, "no TLS connection with {}: {}", log::field("peer", peer_of(connection.socket)),
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
  if (connection.handshake && !shake_hands(connection, turn)) return turn;
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
  connection.handshake.reset();
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
