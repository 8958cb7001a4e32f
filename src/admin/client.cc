// SPDX-License-Identifier: MIT
#include "admin/client.h"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include <boost/asio/buffer.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <fmt/core.h>

#include "base/log.h"
#include "base/loop.h"
#include "base/url.h"

namespace qatime::admin {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::asio::ip::tcp;
using boost::system::error_code;

constexpr std::chrono::seconds kLimit{10};
constexpr std::uint16_t kUsualPort = 80;
constexpr std::size_t kMaxBody = 64 << 20;  // bytes

ParsedUrl parse(std::string_view text) {
  auto url = parse_url(text);
  if (!url || url->scheme != "http" || url->server.port == 0) {
    throw BadUrl{fmt::format("{} is no URL of a daemon, like http://127.0.0.1:9514, with a port from 1 to 65535",
                             log::escaped(text))};
  }
  while (url->path.ends_with('/')) url->path.pop_back();
  return *url;
}

// A connection to a daemon, whose answer has to be there in time.
class Exchange {
 public:
  Exchange(const std::string& host, std::uint16_t port) {
    const auto endpoints = loop::TcpResolver{io_}.resolve(host, std::to_string(port));
    run([&](const auto& done) { asio::async_connect(socket_, endpoints, done); });
  }

  void send(std::string_view request) {
    run([&](const auto& done) { asio::async_write(socket_, asio::buffer(request), done); });
  }

  // Reads until the response is whole, because a proxy may leave the connection open.
  void receive(http::response_parser<http::string_body>& parser) {
    std::string bytes;  // not parsed
    std::array<char, 64 << 10> some{};
    while (!parser.is_done()) {
      run([&](const auto& done) { socket_.async_wait(loop::TcpSocket::wait_read, done); });
      error_code error;
      bytes.append(some.data(), socket_.read_some(asio::buffer(some), error));
      if (!error) {
        bytes.erase(0, parser.put(asio::buffer(bytes), error));
      } else if (error == asio::error::eof && parser.got_some()) {
        parser.put_eof(error);
      }
      if (error && error != http::error::need_more) throw boost::system::system_error{error};
    }
  }

 private:
  // Waits for the end of what `start` begins.
  template <class Start>
  void run(const Start& start) {
    error_code result = asio::error::timed_out;
    start([&result](const error_code& error, const auto&... /*unused*/) { result = error; });
    io_.restart();
    io_.run_until(end_);
    if (result) throw boost::system::system_error{result};
  }

  const std::chrono::steady_clock::time_point end_ = std::chrono::steady_clock::now() + kLimit;
  asio::io_context io_{1};
  loop::TcpSocket socket_{io_};
};

}  // namespace

HttpReply get(std::string_view text, std::string_view path) {
  const ParsedUrl url = parse(text);
  const std::uint16_t port = url.server.port.value_or(kUsualPort);
  try {
    Exchange exchange{url.server.host, port};
    exchange.send(fmt::format("GET {}{} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", url.path, path,
                              format_host_port(url.server.host, port)));
    http::response_parser<http::string_body> parser;
    parser.body_limit(kMaxBody);
    parser.eager(true);
    exchange.receive(parser);
    return {parser.get().result_int(), std::move(parser.get().body())};
  } catch (const boost::system::system_error& error) {
    throw NoAnswer{fmt::format("no daemon answers at {}: {}", log::escaped(text), error.code().message())};
  }
}

}  // namespace qatime::admin
