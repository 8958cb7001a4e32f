// SPDX-License-Identifier: MIT
#include "admin/client.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include <boost/asio/buffer.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <fmt/core.h>

#include "base/log.h"
#include "base/loop.h"
#include "config/units.h"

namespace qatime::admin {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::asio::ip::tcp;
using boost::system::error_code;

constexpr std::chrono::seconds kLimit{10};
constexpr std::size_t kMaxReply = 64 << 20;  // bytes

struct Url {
  std::string host;
  std::string port = "80";
  std::string prefix;  // of paths
};

Url parse(std::string_view text) {
  constexpr std::string_view kScheme = "http://";
  const auto bad = [&] {
    return BadUrl{fmt::format("{} is no URL of a daemon, like http://127.0.0.1:9514, with a port from 1 to 65535",
                              log::escaped(text))};
  };
  if (!text.starts_with(kScheme)) throw bad();
  std::string_view rest = text.substr(kScheme.size());
  Url url;
  if (const std::size_t slash = rest.find('/'); slash != std::string_view::npos) {
    url.prefix = rest.substr(slash);
    rest = rest.substr(0, slash);
    while (url.prefix.ends_with('/')) url.prefix.pop_back();
  }
  const std::size_t host_end = rest.starts_with('[') ? rest.find(']') : rest.find(':');
  const std::size_t colon = rest.find(':', rest.starts_with('[') ? std::min(host_end, rest.size()) : 0);
  url.host = rest.substr(0, colon);
  if (colon != std::string_view::npos) url.port = rest.substr(colon + 1);
  if (url.host.starts_with('[') && url.host.ends_with(']')) url.host = url.host.substr(1, url.host.size() - 2);
  if (url.host.empty() || !parse_number(url.port, 1, 65'535)) throw bad();
  return url;
}

// A connection to a daemon, whose answer has to be there in time.
class Exchange {
 public:
  explicit Exchange(const Url& url) {
    const auto endpoints = loop::TcpResolver{io_}.resolve(url.host, url.port);
    run([&](const auto& done) { asio::async_connect(socket_, endpoints, done); });
  }

  void send(std::string_view request) {
    run([&](const auto& done) { asio::async_write(socket_, asio::buffer(request), done); });
  }

  // All that comes until the daemon closes the connection.
  std::string receive() {
    std::string bytes;
    run([&](const auto& done) { asio::async_read(socket_, asio::dynamic_buffer(bytes, kMaxReply), done); },
        asio::error::eof);
    return bytes;
  }

 private:
  // Waits for the end of what `start` begins, which is success or `expected`.
  template <class Start>
  void run(const Start& start, const error_code& expected = {}) {
    error_code result = asio::error::timed_out;
    start([&result](const error_code& error, const auto&) { result = error; });
    io_.restart();
    io_.run_until(end_);
    if (result && result != expected) throw boost::system::system_error{result};
  }

  const std::chrono::steady_clock::time_point end_ = std::chrono::steady_clock::now() + kLimit;
  asio::io_context io_{1};
  loop::TcpSocket socket_{io_};
};

}  // namespace

Reply get(std::string_view text, std::string_view path) {
  const Url url = parse(text);
  try {
    Exchange exchange{url};
    exchange.send(
        fmt::format("GET {}{} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", url.prefix, path, url.host));
    const std::string bytes = exchange.receive();
    http::response_parser<http::string_body> parser;
    parser.body_limit(kMaxReply);
    parser.eager(true);
    error_code error = http::error::end_of_stream;
    if (!bytes.empty()) parser.put(asio::buffer(bytes), error);
    if (error == http::error::need_more || (!error && !parser.is_done())) parser.put_eof(error);
    if (error) throw boost::system::system_error{error};
    return {parser.get().result_int(), std::move(parser.get().body())};
  } catch (const boost::system::system_error& error) {
    throw NoAnswer{fmt::format("no daemon answers at {}: {}", log::escaped(text), error.code().message())};
  }
}

}  // namespace qatime::admin
