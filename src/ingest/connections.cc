// SPDX-License-Identifier: MIT
// A connection waits for data without a buffer. When there is some it has its turn: a few reads of as much as there
// is, each handed over as one batch; then the others have theirs. Between turns it holds an unfinished message alone.
//
// A completed wait may be queued for a connection that makes room or is closed meanwhile. So its handler shares the
// ownership of it and looks whether its socket is still open.
#include "ingest/connections.h"

#include <chrono>
#include <span>
#include <utility>
#include <vector>

#include <boost/asio/buffer.hpp>

#include "ingest/framing.h"
#include "ingest/logger.h"

namespace qatime::ingest {
namespace {

using boost::asio::ip::tcp;
using boost::system::error_code;

constexpr int kReadsPerTurn = 4;

metrics::Counter& make_counter(metrics::Registry& registry, const char* reason) {
  return registry.counter("qatime_connections_refused_total",
                          "Syslog connections closed because they are not allowed or there is no room.",
                          {"reason", reason});
}

}  // namespace

struct Connections::Connection {
  Connection(tcp::socket accepted, std::size_t max_message) : socket{std::move(accepted)}, framer{max_message} {}

  tcp::socket socket;
  Framer framer;
  bool proven = false;          // it sent a record
  bool last_malformed = false;  // its last message was none
  std::size_t unfinished = 0;   // its share of Connections::unfinished_
  List::iterator place;         // in unproven_ or proven_
};

Connections::Connections(const SyslogConfig& config, Intake& intake, metrics::Registry& registry)
    : max_message_{config.max_message},
      max_connections_{config.max_connections},
      allow_{config.allow},
      intake_{intake},
      open_{registry.gauge("qatime_connections", "Open syslog connections.", {"transport", "tcp"})},
      refused_{make_counter(registry, "full")},
      displaced_{make_counter(registry, "displaced")},
      not_allowed_{make_counter(registry, "allow")} {}

Connections::~Connections() { close_all(); }

bool Connections::is_allowed(const tcp::socket& socket) {
  if (allow_.empty()) return true;
  error_code error;
  const tcp::endpoint peer = socket.remote_endpoint(error);
  if (error) return false;  // it has gone already
  if (contains(allow_, address_of(*peer.data()))) return true;
  not_allowed_.add();
  if (const auto times = strangers_.admit()) {
    kLog.warning("syslog.allow does not have {}: its connections are closed ({} times)", peer.address().to_string(),
                 *times);
  }
  return false;
}

// Returns whether one more connection may be open.
bool Connections::make_room() {
  if (size() < max_connections_) return true;
  const bool is_refused = unproven_.empty();
  if (const auto times = refusals_.admit()) {
    kLog.warning("{} of {} connections are open: {} ({} times)", size(), max_connections_,
                 is_refused ? "a new one is refused" : "the oldest without a record is closed for a new one", *times);
  }
  (is_refused ? refused_ : displaced_).add();
  if (!is_refused) close(*unproven_.front());
  return !is_refused;
}

void Connections::admit(tcp::socket socket) {
  if (!is_allowed(socket) || !make_room()) return;
  error_code ignored;  // a peer that has gone already shows at the first read
  socket.non_blocking(true, ignored);
  socket.set_option(boost::asio::socket_base::keep_alive{true}, ignored);
  const auto connection = std::make_shared<Connection>(std::move(socket), max_message_);
  connection->place = unproven_.insert(unproven_.end(), connection);
  open_.add(1);
  await_data(connection);
}

void Connections::await_data(const std::shared_ptr<Connection>& connection) {
  connection->socket.async_wait(tcp::socket::wait_read, [this, connection](const error_code&) {
    if (!connection->socket.is_open()) return;
    if (read(*connection).open) {
      end_turn(*connection);
      await_data(connection);
    } else {
      close(*connection);
    }
  });
}

Connections::Turn Connections::read(Connection& connection) {
  Turn turn;
  for (int i = 0; i < kReadsPerTurn && read_once(connection, turn); ++i) {
  }
  return turn;
}

// Returns whether there may be more.
bool Connections::read_once(Connection& connection, Turn& turn) {
  const std::span<char> space = connection.framer.writable();
  error_code error;
  const std::size_t size = connection.socket.read_some(boost::asio::buffer(space.data(), space.size()), error);
  if (error == boost::asio::error::would_block) return false;
  if (error) {
    // After a reset what there is of a message is not one: a cut may look whole.
    if (error == boost::asio::error::eof) deliver_rest(connection);
    turn.open = false;
    return false;
  }
  turn.bytes += size;
  connection.framer.commit(size);
  intake_.begin(Transport::tcp, size);
  deliver(connection);
  intake_.flush();
  return size == space.size();
}

void Connections::deliver(Connection& connection) {
  while (const auto frame = connection.framer.next()) {
    switch (frame->kind) {
      case Framer::Kind::message:
        connection.last_malformed = !intake_.message(frame->bytes);
        if (!connection.last_malformed && !connection.proven) prove(connection);
        continue;
      case Framer::Kind::too_long:
        intake_.reject(Malformed::too_long);
        break;
      case Framer::Kind::bad_count:
        intake_.reject(Malformed::framing);
        break;
      case Framer::Kind::stray:
        // The lie has been counted if it made its message malformed.
        if (!connection.last_malformed) intake_.reject(Malformed::framing);
        break;
    }
    connection.last_malformed = true;
  }
}

void Connections::deliver_rest(Connection& connection) {
  intake_.begin(Transport::tcp, 0);
  if (const auto frame = connection.framer.finish()) {
    if (frame->kind == Framer::Kind::message) {
      intake_.message(frame->bytes);
    } else {
      intake_.reject(Malformed::framing);
    }
  }
  intake_.flush();
}

void Connections::end_turn(Connection& connection) {
  connection.framer.trim();
  unfinished_ += connection.framer.memory() - connection.unfinished;
  connection.unfinished = connection.framer.memory();
  if (unfinished_ > kMaxUnfinished) bound_unfinished(connection);
}

// Drops the largest unfinished message of all; `latest` has one.
void Connections::bound_unfinished(Connection& latest) {
  Connection* largest = &latest;
  for (const List* const list : {&unproven_, &proven_}) {
    for (const auto& connection : *list) {
      if (connection->unfinished > largest->unfinished) largest = connection.get();
    }
  }
  if (largest->framer.abandon()) {
    intake_.begin(Transport::tcp, 0);
    intake_.reject(Malformed::memory);
    largest->last_malformed = true;
  }
  unfinished_ -= largest->unfinished - largest->framer.memory();
  largest->unfinished = largest->framer.memory();
}

void Connections::prove(Connection& connection) {
  connection.proven = true;
  proven_.splice(proven_.end(), unproven_, connection.place);
}

void Connections::close(Connection& connection) {
  error_code ignored;
  connection.socket.close(ignored);
  unfinished_ -= connection.unfinished;
  open_.add(-1);
  (connection.proven ? proven_ : unproven_).erase(connection.place);  // the last owner may be the caller
}

void Connections::close_all() {
  while (size() > 0) close(unproven_.empty() ? *proven_.front() : *unproven_.front());
}

void Connections::drain_and_close() {
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
  const std::vector<std::shared_ptr<Connection>> all{connections.begin(), connections.end()};
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
