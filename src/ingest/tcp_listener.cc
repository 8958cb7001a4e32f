// SPDX-License-Identifier: MIT
// A connection waits for data without a buffer. When there is some it has its turn: a few reads of as much as there
// is, each handed over as one batch; then the others have theirs. Between turns it holds an unfinished message alone.
//
// A completed wait may be queued for a connection that makes room or is closed meanwhile. So its handler shares the
// ownership of it and looks whether its socket is still open.
#include "ingest/tcp_listener.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/v6_only.hpp>

#include "ingest/framing.h"
#include "ingest/listen_error.h"
#include "ingest/logger.h"

namespace qatime::ingest {
namespace {

using boost::asio::ip::tcp;
using boost::system::error_code;
using namespace std::chrono_literals;

constexpr int kReadsPerTurn = 4;
constexpr int kAcceptsPerTurn = 64;
constexpr auto kAcceptPause = 100ms;
constexpr std::string_view kRefusedHelp = "Syslog connections closed because they are not allowed or there is no room.";

bool would_block(const error_code& error) {
  return error == boost::asio::error::would_block || error == boost::asio::error::try_again;
}

// Nothing can be accepted until something is freed; the connection stays in the kernel's queue, which stays readable.
bool is_shortage(const error_code& error) {
  constexpr std::array kShortages{EMFILE, ENFILE, ENOBUFS, ENOMEM};
  return std::ranges::find(kShortages, error.value()) != kShortages.end();
}

}  // namespace

struct TcpListener::Connection {
  Connection(tcp::socket accepted, std::size_t max_message) : socket{std::move(accepted)}, framer{max_message} {}

  tcp::socket socket;
  Framer framer;
  bool proven = false;          // it sent a record
  bool last_malformed = false;  // its last message was none
  std::size_t unfinished = 0;   // its share of TcpListener::unfinished_
  Connections::iterator place;  // in unproven_ or proven_
};

TcpListener::TcpListener(boost::asio::io_context& context, const SyslogConfig::Listener& listener,
                         const SyslogConfig& config, Intake& intake, metrics::Registry& registry)
    : acceptor_{context},
      accept_pause_{context},
      max_message_{config.max_message},
      max_connections_{config.max_connections},
      allow_{config.allow},
      intake_{intake},
      open_{registry.gauge("qatime_connections", "Open syslog connections.", {"transport", "tcp"})},
      refused_{registry.counter("qatime_connections_refused_total", kRefusedHelp, {"reason", "full"})},
      displaced_{registry.counter("qatime_connections_refused_total", kRefusedHelp, {"reason", "displaced"})},
      not_allowed_{registry.counter("qatime_connections_refused_total", kRefusedHelp, {"reason", "allow"})} {
  open(listener);
  kLog.info("listening on {}", describe({listener.transport, listener.address, port()}));
  await_connection();
}

TcpListener::~TcpListener() { close_all(); }

std::uint16_t TcpListener::port() const { return acceptor_.local_endpoint().port(); }

void TcpListener::open(const SyslogConfig::Listener& listener) {
  try {
    const tcp::endpoint endpoint{boost::asio::ip::make_address(listener.address), listener.port};
    acceptor_.open(endpoint.protocol());
    acceptor_.set_option(tcp::acceptor::reuse_address{true});
    if (endpoint.protocol() == tcp::v6()) acceptor_.set_option(boost::asio::ip::v6_only{true});
    acceptor_.bind(endpoint);
    acceptor_.listen();
    acceptor_.non_blocking(true);
  } catch (const boost::system::system_error& error) {
    throw ListenError{listener, error.code().message()};
  }
}

void TcpListener::await_connection() {
  acceptor_.async_wait(tcp::acceptor::wait_read, [this](const error_code& error) {
    if (error || !acceptor_.is_open()) return;
    if (accept_waiting() != Accepted::paused) await_connection();
  });
}

TcpListener::Accepted TcpListener::accept_waiting() {
  for (int i = 0; i < kAcceptsPerTurn; ++i) {
    error_code error;
    tcp::socket socket = acceptor_.accept(error);
    if (would_block(error)) return Accepted::all;
    if (is_shortage(error)) {
      pause_accepting(error);
      return Accepted::paused;
    }
    if (!error) admit(std::move(socket));  // else the peer has gone already
  }
  return Accepted::some;
}

void TcpListener::pause_accepting(const error_code& reason) {
  if (const auto times = accept_errors_.admit()) {
    kLog.warning("cannot accept connections ({} times): {}; {} are open, see the limit of open files", *times,
                 reason.message(), connections());
  }
  accept_pause_.expires_after(kAcceptPause);
  accept_pause_.async_wait([this](const error_code& error) {
    if (!error && acceptor_.is_open()) await_connection();
  });
}

bool TcpListener::is_allowed(const tcp::socket& socket) {
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

void TcpListener::admit(tcp::socket socket) {
  if (!is_allowed(socket)) return;
  if (connections() >= max_connections_) {
    const bool is_refused = unproven_.empty();
    if (const auto times = refusals_.admit()) {
      kLog.warning("{} of {} connections are open: {} ({} times)", connections(), max_connections_,
                   is_refused ? "a new one is refused" : "the oldest without a record is closed for a new one", *times);
    }
    (is_refused ? refused_ : displaced_).add();
    if (is_refused) return;
    close(*unproven_.front());
  }
  error_code ignored;  // a peer that has gone already shows at the first read
  socket.non_blocking(true, ignored);
  socket.set_option(boost::asio::socket_base::keep_alive{true}, ignored);
  const auto connection = std::make_shared<Connection>(std::move(socket), max_message_);
  connection->place = unproven_.insert(unproven_.end(), connection);
  open_.add(1);
  await_data(connection);
}

void TcpListener::await_data(const std::shared_ptr<Connection>& connection) {
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

TcpListener::Turn TcpListener::read(Connection& connection) {
  Turn turn;
  for (int i = 0; i < kReadsPerTurn && read_once(connection, turn); ++i) {
  }
  return turn;
}

// Returns whether there may be more.
bool TcpListener::read_once(Connection& connection, Turn& turn) {
  const std::span<char> space = connection.framer.writable();
  error_code error;
  const std::size_t size = connection.socket.read_some(boost::asio::buffer(space.data(), space.size()), error);
  if (would_block(error)) return false;
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

void TcpListener::deliver(Connection& connection) {
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

void TcpListener::deliver_rest(Connection& connection) {
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

void TcpListener::end_turn(Connection& connection) {
  connection.framer.trim();
  unfinished_ += connection.framer.memory() - connection.unfinished;
  connection.unfinished = connection.framer.memory();
  if (unfinished_ > kMaxUnfinished) bound_unfinished(connection);
}

// Drops the largest unfinished message of all; `latest` has one.
void TcpListener::bound_unfinished(Connection& latest) {
  Connection* largest = &latest;
  for (const Connections* const list : {&unproven_, &proven_}) {
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

void TcpListener::prove(Connection& connection) {
  connection.proven = true;
  proven_.splice(proven_.end(), unproven_, connection.place);
}

void TcpListener::close(Connection& connection) {
  error_code ignored;
  connection.socket.close(ignored);
  unfinished_ -= connection.unfinished;
  open_.add(-1);
  (connection.proven ? proven_ : unproven_).erase(connection.place);  // the last owner may be the caller
}

void TcpListener::close_all() {
  while (connections() > 0) close(unproven_.empty() ? *proven_.front() : *unproven_.front());
}

void TcpListener::drain_and_close() {
  error_code ignored;
  const auto deadline = std::chrono::steady_clock::now() + kDrainLimit;
  while (accept_waiting() == Accepted::some && std::chrono::steady_clock::now() < deadline) {
  }
  accept_pause_.cancel();
  acceptor_.close(ignored);
  bool is_more = true;
  while (is_more && std::chrono::steady_clock::now() < deadline) {
    const bool first = drain(unproven_);
    is_more = drain(proven_) || first;
  }
  close_all();
}

// Gives each of `connections` a turn. Returns whether anything came.
bool TcpListener::drain(Connections& connections) {
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
