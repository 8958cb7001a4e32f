// SPDX-License-Identifier: MIT
// A hint to the processor: memory that will be needed soon.
#pragma once

#include <cstddef>
#include <cstdint>

namespace qatime::backlog {

inline void prefetch(const void* begin, std::size_t bytes) noexcept {
  constexpr std::size_t kLine = 64;
  const auto address = reinterpret_cast<std::uintptr_t>(begin);
  for (std::size_t at = 0; at < bytes; at += kLine - (address + at) % kLine) {
    __builtin_prefetch(static_cast<const char*>(begin) + at);
  }
  // Because GCC 12 leaves out calls of a function that does nothing but prefetch.
  asm volatile("" : : "r"(begin));
}

template <class Object>
void prefetch(const Object& object) noexcept {
  prefetch(&object, sizeof object);
}

}  // namespace qatime::backlog
