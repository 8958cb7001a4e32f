// SPDX-License-Identifier: MIT
// A reply of Redis.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace qatime::backlog::redis {

// An answer of Redis (RESP2: redis.io/docs/reference/protocol-spec).
struct RedisReply {
  enum class Kind : std::uint8_t { nil, number, text, list, error };
  Kind kind = Kind::nil;
  std::int64_t number = 0;
  std::string text;  // of an error, too, which begins with its code
  std::vector<RedisReply> list;

  [[nodiscard]] bool is_error() const noexcept { return kind == Kind::error; }
};

}  // namespace qatime::backlog::redis
