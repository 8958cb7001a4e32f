// SPDX-License-Identifier: MIT
// Memory that will be needed soon, wanted in the caches by then.
#pragma once

#include <cstddef>

namespace qatime::backlog {

inline void prefetch(const void* begin, std::size_t bytes) noexcept {
  constexpr std::size_t kLine = 64;
  for (std::size_t at = 0; at < bytes; at += kLine) __builtin_prefetch(static_cast<const char*>(begin) + at);
}

template <class Object>
void prefetch(const Object& object) noexcept {
  prefetch(&object, sizeof object);
}

}  // namespace qatime::backlog
