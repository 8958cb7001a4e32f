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
#include <vector>

#include "config/config.h"

namespace boost::asio {
class io_context;  // NOLINT(readability-identifier-naming)
}

namespace qatime::admin {

struct Response {
  unsigned status = 200;  // RFC 9110 section 15
  std::string type;       // of the contents
  std::string body;
  // Content-Security-Policy: the resources that a browser may load for it.
  std::string policy = "default-src 'none'; frame-ancestors 'none'";
};

// Answers GET and HEAD.
//
// Bounds: the number of connections, the header of a request, and the time for a request and for a response. When
// kMaxConnections are open, a new connection replaces the one idle longest, or the oldest if none is idle.
// Thread: the one that runs the io_context. Destroy the server only after the io_context has stopped.
class HttpServer {
 public:
  static constexpr std::size_t kMaxConnections = 32;
  static constexpr std::size_t kMaxHeader = 8 << 10;  // bytes
  struct Limits {
    std::chrono::milliseconds first_request{std::chrono::seconds{10}};  // from connecting to the end of the request
    std::chrono::milliseconds idle{std::chrono::seconds{75}};  // from a response to the end of the next request
    std::chrono::milliseconds response{std::chrono::seconds{30}};
  };

  // Returns the response for the path of a request, without its query. A path that does not exist has status 404.
  using Answer = std::function<Response(std::string_view path)>;

  // Starts to listen. Throws ConfigError if it cannot. It answers to addresses, to localhost, to the name of this host
  // and to `hosts`. Another name that leads here may be that of a page that wants to read us with its visitor's browser
  // (DNS rebinding).
  HttpServer(boost::asio::io_context& io, const AdminConfig::ListenAddress& listener, std::vector<std::string> hosts,
             Answer answer, const Limits& limits);
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
