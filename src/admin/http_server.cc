// SPDX-License-Identifier: MIT
#include "admin/http_server.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <climits>
#include <cstring>
#include <list>
#include <optional>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/field.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/status.hpp>
#include <boost/beast/http/verb.hpp>
#include <fmt/core.h>
#include <unistd.h>

#include "admin/logger.h"
#include "base/address.h"
#include "base/loop.h"
#include "base/thread_checker.h"
#include "base/url.h"

namespace qatime::admin {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

constexpr std::chrono::milliseconds kAcceptPause{100};

Response plain(http::status status, std::string_view text) {
  return {static_cast<unsigned>(status), "text/plain; charset=utf-8", fmt::format("{}\n", text)};
}

bool is_same_name(std::string_view one, std::string_view other) {
  return boost::beast::iequals({one.data(), one.size()}, {other.data(), other.size()});
}

// The name of this host; empty if it has none.
std::string own_name() {
  std::array<char, HOST_NAME_MAX + 1> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? std::string{name.data()} : std::string{};
}

// The target of a request in absolute form has the host in it, and takes precedence (RFC 9112 section 3.2.2).
struct Target {
  std::optional<HostPort> host;
  std::string path;
};

std::optional<Target> read_target(std::string_view target) {
  target = target.substr(0, target.find('?'));
  if (target.starts_with('/')) return Target{{}, std::string{target}};
  const auto url = parse_url(target);
  if (!url || !is_same_name(url->scheme, "http")) return std::nullopt;
  return Target{url->server, url->path.empty() ? "/" : url->path};
}

}  // namespace

// One peer: reads a request, writes the response, and again. All that is started shares the ownership of it, and ends
// with an error once it is closed.
struct HttpServer::HttpConnection : std::enable_shared_from_this<HttpConnection> {
  HttpConnection(loop::TcpSocket peer, HttpConnections& all_of_them)
      : socket{std::move(peer)}, timer{socket.get_executor()}, all{all_of_them} {}

  void limit(std::chrono::milliseconds time);
  void read(std::chrono::milliseconds time);
  void receive();
  void parse();
  void respond(const error_code& error);
  void write(const Response& response, bool keep_alive, bool with_body);
  void end();

  loop::TcpSocket socket;
  loop::Timer timer;
  HttpConnections& all;
  std::array<char, 2 * kMaxHeader> bytes{};  // received
  std::size_t size = 0;                      // of them, not parsed
  std::string message;                       // the response, being written
  std::optional<http::request_parser<http::empty_body>> parser;
  bool is_idle = true;  // it owes us a request
  bool is_closed = false;
  std::list<std::shared_ptr<HttpConnection>>::iterator place;
};

class HttpServer::HttpConnections {
 public:
  HttpConnections(asio::io_context& io, const AdminConfig::ListenAddress& listener, std::vector<std::string> hosts,
                  Answer answer, const Limits& limits)
      : names_{std::move(hosts)}, answer_{std::move(answer)}, limits_{limits}, acceptor_{io}, pause_{io} {
    names_.push_back(own_name());
    try {
      const tcp::endpoint endpoint{asio::ip::make_address(listener.address), listener.port};
      acceptor_.open(endpoint.protocol());
      acceptor_.set_option(loop::TcpAcceptor::reuse_address{true});
      if (endpoint.address().is_v6()) acceptor_.set_option(asio::ip::v6_only{true});
      acceptor_.bind(endpoint);
      acceptor_.listen();
    } catch (const boost::system::system_error& error) {
      throw ConfigError{fmt::format("cannot listen on {} (admin.listen): {}",
                                    format_host_port(listener.address, listener.port), error.code().message())};
    }
    kLog.info("listening on http://{}/", format_host_port(listener.address, port()));
    accept();
  }

  ~HttpConnections() {
    while (!open_.empty()) close(*open_.front());
  }
  HttpConnections(const HttpConnections&) = delete;
  HttpConnections& operator=(const HttpConnections&) = delete;

  [[nodiscard]] std::uint16_t port() const { return acceptor_.local_endpoint().port(); }
  [[nodiscard]] const Limits& limits() const noexcept { return limits_; }
  [[nodiscard]] Response answer(std::string_view path) const {
    assert(thread_.is_current());
    return answer_(path);
  }
  // Whether we answer to this host (RFC 9110 section 7.2). A final dot marks a name as whole (RFC 1034 section 3.1).
  [[nodiscard]] bool is_ours(std::string_view host) const {
    if (host.ends_with('.')) host.remove_suffix(1);
    const std::string_view last = host.substr(host.rfind('.') + 1);  // of its labels
    return is_address(host) || is_same_name(last, "localhost") ||
           std::ranges::any_of(names_, [host](const auto& name) { return !name.empty() && is_same_name(name, host); });
  }

  // It has its response and may ask for more: the others have been idle for longer.
  void rest(HttpConnection& connection) {
    assert(thread_.is_current());
    connection.is_idle = true;
    open_.splice(open_.end(), open_, connection.place);
  }

  void close(HttpConnection& connection) {
    if (std::exchange(connection.is_closed, true)) return;
    error_code ignored;
    connection.socket.close(ignored);
    connection.timer.cancel();
    open_.erase(connection.place);  // the last owner may be the caller
  }

 private:
  void accept() {
    acceptor_.async_accept([this](const error_code& error, loop::TcpSocket socket) {
      if (!acceptor_.is_open() || error == asio::error::operation_aborted) return;
      if (error) return pause_accepting(error);
      admit(std::move(socket));
      accept();
    });
  }

  void pause_accepting(const error_code& reason) {
    kLog.warning(accept_errors_, "cannot accept connections: {}", reason.message());
    pause_.expires_after(kAcceptPause);
    pause_.async_wait([this](const error_code& error) {
      if (!error) accept();
    });
  }

  void admit(loop::TcpSocket socket) {
    assert(thread_.is_current());
    if (open_.size() >= kMaxConnections) {
      const auto idle = std::ranges::find_if(open_, [](const auto& each) { return each->is_idle; });
      close(idle != open_.end() ? **idle : *open_.front());
    }
    error_code ignored;
    socket.set_option(tcp::no_delay{true}, ignored);
    const auto connection = std::make_shared<HttpConnection>(std::move(socket), *this);
    connection->place = open_.insert(open_.end(), connection);
    connection->read(limits_.first_request);
  }

  ThreadChecker thread_;
  std::vector<std::string> names_;
  const Answer answer_;
  const Limits limits_;
  loop::TcpAcceptor acceptor_;
  loop::Timer pause_;
  log::Throttle accept_errors_;
  std::list<std::shared_ptr<HttpConnection>> open_;  // the one that has been idle longest first
};

// Closes the connection if what begins now takes longer.
void HttpServer::HttpConnection::limit(std::chrono::milliseconds time) {
  timer.expires_after(time);
  timer.async_wait([self = shared_from_this()](const error_code& error) {
    if (error || self->is_closed || self->timer.expiry() > std::chrono::steady_clock::now()) return;
    self->all.close(*self);
  });
}

void HttpServer::HttpConnection::read(std::chrono::milliseconds time) {
  parser.emplace();
  parser->header_limit(kMaxHeader);
  limit(time);
  size > 0 ? parse() : receive();  // the next request may have come with the last one
}

void HttpServer::HttpConnection::receive() {
  socket.async_read_some(asio::buffer(bytes) + size,
                         [self = shared_from_this()](const error_code& error, std::size_t received) {
                           if (self->is_closed) return;
                           if (error) return self->end();
                           self->size += received;
                           self->parse();
                         });
}

void HttpServer::HttpConnection::parse() {
  assert(parser);
  error_code error;
  const std::size_t parsed = parser->put(asio::buffer(bytes, size), error);
  size -= parsed;
  std::memmove(bytes.data(), bytes.data() + parsed, size);
  error == http::error::need_more ? receive() : respond(error);
}

void HttpServer::HttpConnection::respond(const error_code& error) {
  is_idle = false;
  if (error == http::error::header_limit) {
    return write(plain(http::status::request_header_fields_too_large, "the header of the request is too large"), false,
                 true);
  }
  if (error) return write(plain(http::status::bad_request, "this is no HTTP request"), false, true);

  assert(parser);
  const auto& request = parser->get();
  const bool is_head = request.method() == http::verb::head;
  // The end of a body would have to be found, though nobody wants to know it.
  const bool keep_alive = request.keep_alive() && parser->is_done();
  if (!is_head && request.method() != http::verb::get) {
    return write(plain(http::status::method_not_allowed, "only GET and HEAD"), false, true);
  }
  const auto target = read_target({request.target().data(), request.target().size()});
  const bool has_host = request.count(http::field::host) == 1 ||
                        (request.count(http::field::host) == 0 && request.version() < 11);  // RFC 9112 section 3.2
  if (!target || !has_host) {
    return write(plain(http::status::bad_request, target ? "name one host" : "ask for a path"), false, !is_head);
  }
  const auto field = request[http::field::host];
  const auto host = target->host ? target->host : parse_host_port({field.data(), field.size()});
  const bool names_none = !target->host && field.empty();
  if (!names_none && !(host && all.is_ours(host->host))) {
    return write(
        plain(http::status::misdirected_request, "ask for it by an address, as localhost, or by a name in admin.hosts"),
        keep_alive, !is_head);
  }
  write(all.answer(target->path), keep_alive, !is_head);
}

void HttpServer::HttpConnection::write(const Response& response, bool keep_alive, bool with_body) {
  const auto reason = http::obsolete_reason(static_cast<http::status>(response.status));
  const bool is_not_allowed = response.status == static_cast<unsigned>(http::status::method_not_allowed);
  message = fmt::format(
      "HTTP/1.1 {} {}\r\nServer: qatime\r\nContent-Type: {}\r\nCache-Control: no-store\r\n"
      "Content-Security-Policy: {}\r\nX-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n{}{}"
      "Content-Length: {}\r\n\r\n",
      response.status, std::string_view{reason.data(), reason.size()}, response.type, response.policy,
      is_not_allowed ? "Allow: GET, HEAD\r\n" : "", keep_alive ? "" : "Connection: close\r\n", response.body.size());
  if (with_body) message += response.body;
  limit(all.limits().response);
  asio::async_write(socket, asio::buffer(message),
                    [self = shared_from_this(), keep_alive](const error_code& error, std::size_t) {
                      if (self->is_closed) return;
                      if (error || !keep_alive) return self->end();
                      self->message = {};
                      self->all.rest(*self);
                      self->read(self->all.limits().idle);
                    });
}

void HttpServer::HttpConnection::end() {
  error_code ignored;
  socket.shutdown(loop::TcpSocket::shutdown_send, ignored);
  all.close(*this);
}

HttpServer::HttpServer(asio::io_context& io, const AdminConfig::ListenAddress& listener, std::vector<std::string> hosts,
                       Answer answer, const Limits& limits)
    : connections_{std::make_unique<HttpConnections>(io, listener, std::move(hosts), std::move(answer), limits)} {}

HttpServer::~HttpServer() = default;

std::uint16_t HttpServer::port() const { return connections_->port(); }

}  // namespace qatime::admin
