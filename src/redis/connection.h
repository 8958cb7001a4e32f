// SPDX-License-Identifier: MIT
// The one user of hiredis, 0.14 and later.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

#include "redis/command.h"
#include "redis/reply.h"

struct redisContext;  // of hiredis, NOLINT(readability-identifier-naming)

namespace qatime::backlog::redis {

struct RedisAddress {
  std::string host;
  std::uint16_t port = 0;
  friend auto operator<=>(const RedisAddress&, const RedisAddress&) = default;

  [[nodiscard]] std::string text() const;  // as people write it
};

// Redis is not there, or does not do what was asked for; it may later. One line that says why.
class Unavailable : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// One connection, on which answers come in the order of the commands. A failure throws Unavailable, and leaves a
// connection of which nothing can be expected any more. One thread, which waits for the network for `timeout` at most
// in each call. Ignores SIGPIPE in the whole process, since hiredis writes to sockets that may be closed.
class RedisConnection {
 public:
  RedisConnection(RedisAddress endpoint, std::chrono::milliseconds timeout, bool uses_tls);

  // Adds a command to what is to be sent.
  void append(std::string_view command);

  // Sends it.
  void flush();

  // Sends what is to be sent, and returns the next answer.
  [[nodiscard]] RedisReply receive();

  [[nodiscard]] RedisReply call(Command command);

  [[nodiscard]] const RedisAddress& endpoint() const noexcept { return endpoint_; }

 private:
  struct Free {
    void operator()(redisContext* context) const noexcept;
  };
  [[noreturn]] void fail() const;

  RedisAddress endpoint_;
  std::unique_ptr<redisContext, Free> context_;
};

// Whether this hiredis can do TLS.
[[nodiscard]] bool has_tls() noexcept;

// Has a connection speak TLS 1.2 or later from now on, with a server that has a certificate for `host` by an authority
// of the system, or of SSL_CERT_FILE in the environment. Returns why not, or "".
[[nodiscard]] std::string start_tls(redisContext* context, const std::string& host);

}  // namespace qatime::backlog::redis
