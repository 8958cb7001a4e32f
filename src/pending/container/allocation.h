// SPDX-License-Identifier: MIT
// The true size of an object on the heap, for bounds on memory.
#pragma once

#include <algorithm>
#include <cstddef>

namespace qatime::backlog {

// malloc adds a header of 8 bytes, rounds up to 16 and gives 32 at least (glibc on 64-bit machines; others are close).
[[nodiscard]] constexpr std::size_t allocation_bytes(std::size_t size) noexcept {
  return std::max<std::size_t>(32, (size + 8 + 15) / 16 * 16);
}

}  // namespace qatime::backlog
