// SPDX-License-Identifier: MIT
#include "listen/tcp_listener.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>
#include <chrono>
#include <utility>

#include <boost/asio/ip/v6_only.hpp>

#include "base/loop.h"
#include "ingest/logger.h"
#include "listen/listen_error.h"

namespace qatime::ingest {
namespace {

using boost::asio::ip::tcp;
using boost::system::error_code;
using namespace std::chrono_literals;

constexpr int kAcceptsPerTurn = 64;
constexpr auto kAcceptPause = 100ms;

// Nothing can be accepted until something is freed; the connection stays in the kernel's queue, which stays readable.
bool is_shortage(const error_code& error) {
  constexpr std::array kShortages{EMFILE, ENFILE, ENOBUFS, ENOMEM};
  return std::ranges::find(kShortages, error.value()) != kShortages.end();
}

}  // namespace

TcpListener::TcpListener(boost::asio::io_context& context, const SyslogConfig::Listener& listener,
                         Connections& connections)
    : acceptor_{context}, accept_pause_{context}, transport_{listener.transport}, connections_{connections} {
  open(listener);
  kLog.info("listening on {}", log::field("listener", describe({listener.transport, listener.address, port()})));
  await_connection();
}

std::uint16_t TcpListener::port() const { return acceptor_.local_endpoint().port(); }

void TcpListener::open(const SyslogConfig::Listener& listener) {
  try {
    const tcp::endpoint endpoint{boost::asio::ip::make_address(listener.address), listener.port};
    acceptor_.open(endpoint.protocol());
    acceptor_.set_option(loop::TcpAcceptor::reuse_address{true});
    if (endpoint.protocol() == tcp::v6()) acceptor_.set_option(boost::asio::ip::v6_only{true});
    acceptor_.bind(endpoint);
    acceptor_.listen();
    acceptor_.non_blocking(true);
  } catch (const boost::system::system_error& error) {
    throw ListenError{listener, error.code().message()};
  }
}

void TcpListener::await_connection() {
  acceptor_.async_wait(loop::TcpAcceptor::wait_read, [this](const error_code& error) {
    if (error || !acceptor_.is_open()) return;
    if (accept_waiting() != Accepted::paused) await_connection();
  });
}

TcpListener::Accepted TcpListener::accept_waiting() {
  assert(thread_.is_current());
  for (int i = 0; i < kAcceptsPerTurn; ++i) {
    error_code error;
    tcp::endpoint peer;
    loop::TcpSocket socket = acceptor_.accept(peer, error);
    if (error == boost::asio::error::would_block) return Accepted::all;
    if (is_shortage(error)) {
      pause_accepting(error);
      return Accepted::paused;
    }
    if (!error)
      connections_.admit(std::move(socket), address_of(*peer.data()), transport_);  // else the peer has gone already
  }
  return Accepted::some;
}

void TcpListener::pause_accepting(const error_code& reason) {
  kLog.warning(accept_errors_, "cannot accept connections: {}; {} are open, see the limit of open files",
               reason.message(), log::field("connections", connections_.size()));
  accept_pause_.expires_after(kAcceptPause);
  accept_pause_.async_wait([this](const error_code& error) {
    if (!error && acceptor_.is_open()) await_connection();
  });
}

void TcpListener::close() {
  assert(thread_.is_current());
  error_code ignored;
  const auto deadline = std::chrono::steady_clock::now() + kDrainLimit;
  while (accept_waiting() == Accepted::some && std::chrono::steady_clock::now() < deadline) {
  }
  accept_pause_.cancel();
  acceptor_.close(ignored);
}

}  // namespace qatime::ingest
