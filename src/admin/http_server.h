// SPDX-License-Identifier: MIT
// The HTTP server for administrators.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "config/config.h"

namespace boost::asio {
class io_context;  // NOLINT(readability-identifier-naming)
}

namespace qatime::admin {

struct Response {
  unsigned status = 200;  // RFC 9110 section 15
  std::string type;       // of the contents
  std::string body;
  // Content-Security-Policy: what a browser may load for it.
  std::string policy = "default-src 'none'; frame-ancestors 'none'";
};

// Answers GET and HEAD. All is bounded: the connections, of which the one that has been idle longest makes room for a
// new one, the header of a request, and the time that a peer may take for a request or a response.
//
// Lives on the thread that runs the io_context, and is destroyed when that no longer runs.
class HttpServer {
 public:
  static constexpr std::size_t kMaxConnections = 32;
  static constexpr std::size_t kMaxHeader = 8 << 10;  // bytes
  struct Limits {
    std::chrono::milliseconds first_request{std::chrono::seconds{10}};  // from the begin of the connection
    std::chrono::milliseconds idle{std::chrono::seconds{75}};  // from a response to the end of the next request
    std::chrono::milliseconds response{std::chrono::seconds{30}};
  };

  // What there is at a path, which is that of the request without its query; status 404 for nothing.
  using Answer = std::function<Response(std::string_view path)>;

  // Listens from here on. Throws ConfigError.
  HttpServer(boost::asio::io_context& io, const AdminConfig::ListenAddress& listener, Answer answer,
             const Limits& limits);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  [[nodiscard]] std::uint16_t port() const;

 private:
  struct HttpConnection;
  class HttpConnections;

  std::unique_ptr<HttpConnections> connections_;
};

}  // namespace qatime::admin
