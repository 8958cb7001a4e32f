// SPDX-License-Identifier: MIT
#include "admin/client.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <fmt/core.h>

#include "log.h"
#include "units.h"

namespace qatime::admin {
namespace {

namespace beast = boost::beast;
namespace http = beast::http;
using boost::asio::ip::tcp;
using boost::system::error_code;

constexpr std::chrono::seconds kLimit{10};
constexpr std::uint64_t kMaxBody = 64 << 20;  // bytes

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

// Starts something on `io` and waits for its end.
template <class Start>
void run(boost::asio::io_context& io, const Start& start) {
  error_code result;
  start([&result](const error_code& error, auto&&...) { result = error; });
  io.restart();
  io.run();
  if (result) throw boost::system::system_error{result};
}

}  // namespace

Reply get(std::string_view text, std::string_view path) {
  const Url url = parse(text);
  try {
    boost::asio::io_context io{1};
    beast::tcp_stream stream{io};
    stream.expires_after(kLimit);
    const auto endpoints = tcp::resolver{io}.resolve(url.host, url.port);
    run(io, [&](auto done) { stream.async_connect(endpoints, done); });
    http::request<http::empty_body> request{http::verb::get, url.prefix + std::string{path}, 11};
    request.set(http::field::host, url.host);
    request.keep_alive(false);
    run(io, [&](auto done) { http::async_write(stream, request, done); });
    http::response_parser<http::string_body> parser;
    parser.body_limit(kMaxBody);
    beast::flat_buffer buffer;
    run(io, [&](auto done) { http::async_read(stream, buffer, parser, done); });
    return {parser.get().result_int(), std::move(parser.get().body())};
  } catch (const boost::system::system_error& error) {
    throw NoAnswer{fmt::format("no daemon answers at {}: {}", log::escaped(text), error.code().message())};
  }
}

}  // namespace qatime::admin
