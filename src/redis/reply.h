// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace qatime::backlog::redis {

// What Redis answers (RESP2: redis.io/docs/reference/protocol-spec).
struct Reply {
  enum class Kind : std::uint8_t { nil, number, text, list, error };
  Kind kind = Kind::nil;
  std::int64_t number = 0;
  std::string text;  // of an error, too, which begins with its code
  std::vector<Reply> list;

  [[nodiscard]] bool is_error() const noexcept { return kind == Kind::error; }
};

}  // namespace qatime::backlog::redis
