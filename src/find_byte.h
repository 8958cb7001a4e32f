// SPDX-License-Identifier: MIT
// A search through text that is short most often.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace qatime {

// Where `byte` is in `text` first, or npos. The fields of a record and the names of a path have some ten bytes, for
// which a call of memchr costs more than what it does: only what is far away is left to it.
[[nodiscard]] inline std::size_t find_byte(std::string_view text, char byte) noexcept {
  constexpr std::size_t kNear = 32;
  constexpr std::uint64_t kOnes = 0x0101'0101'0101'0101;
  constexpr std::uint64_t kLows = 0x7F * kOnes;
  const std::uint64_t wanted = kOnes * static_cast<unsigned char>(byte);
  std::size_t at = 0;
  for (; at < kNear && at + sizeof wanted <= text.size(); at += sizeof wanted) {
    std::uint64_t word = 0;
    std::memcpy(&word, text.data() + at, sizeof word);
    word ^= wanted;  // 0 in a byte that is it
    // The highest bit of each byte that is 0; no sum carries into the next byte.
    const std::uint64_t hits = ~(((word & kLows) + kLows) | word | kLows);
    if (hits == 0) continue;
    const int before = std::endian::native == std::endian::little ? std::countr_zero(hits) : std::countl_zero(hits);
    return at + static_cast<std::size_t>(before) / 8;
  }
  return text.find(byte, at);
}

}  // namespace qatime
