// SPDX-License-Identifier: MIT
// The true size of an object on the heap, for bounds on memory.
#pragma once

#include <algorithm>
#include <cstddef>

namespace qatime::backlog {

// Returns the bytes that malloc takes: `size` and a header of 8, rounded up to 16, and 32 at least. True of glibc on
// 64-bit machines; others are close.
[[nodiscard]] constexpr std::size_t allocation_bytes(std::size_t size) noexcept {
  return std::max<std::size_t>(32, (size + 8 + 15) / 16 * 16);
}

}  // namespace qatime::backlog
