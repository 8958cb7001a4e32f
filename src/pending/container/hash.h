// SPDX-License-Identifier: MIT
// Hashes of names that strangers choose.
#pragma once

#include <cstdint>
#include <cstring>
#include <random>
#include <string_view>

namespace qatime::backlog {

// Secrets of this process. A user who chooses names knows neither them nor a hash, so cannot work out which collide.
//
// This is an obstacle, not a proof. SipHash-1-3 is made to withstand that (Aumasson and Bernstein, 2012), but adding an
// access would take 1.27 times the instructions (tests/bench/backlog). XXH3 with a secret promises no more than this
// and takes 1.05 times as many.
struct HashSecrets {
  std::uint64_t state;
  std::uint64_t block;
};

inline const HashSecrets& hash_secrets() {
  static const HashSecrets secrets = [] {
    std::random_device random;
    const auto draw = [&random] { return std::uint64_t{random()} << 32 | random(); };
    return HashSecrets{draw(), draw()};
  }();
  return secrets;
}

// Returns a hash that is good in all of its bits. To hash a sequence, pass the hash of the preceding bytes as `before`.
//
// Each 16 bytes go through a multiplication to 128 bits, whose halves are folded, as in wyhash.
[[nodiscard]] inline std::uint64_t hash_bytes(std::string_view bytes, std::uint64_t before = 0) {
  __extension__ using Wide = unsigned __int128;
  const HashSecrets& secrets = hash_secrets();
  const auto fold = [](std::uint64_t a, std::uint64_t b) {
    const Wide product = Wide{a} * b;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
  };
  const auto read = [](const char* from, std::size_t count) {
    std::uint64_t value = 0;
    std::memcpy(&value, from, count);
    return value;
  };
  constexpr std::size_t kWord = 8;
  constexpr std::uint64_t kOdd = 0x9E3779B97F4A7C15;  // so that lengths differ in many bits
  std::uint64_t hash = secrets.state ^ before ^ (bytes.size() * kOdd);
  const char* at = bytes.data();
  std::size_t left = bytes.size();
  for (; left > 2 * kWord; at += 2 * kWord, left -= 2 * kWord) {
    hash = fold(read(at, kWord) ^ secrets.block, read(at + kWord, kWord) ^ hash);
  }
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  if (left >= kWord) {  // two words that may overlap
    first = read(at, kWord);
    last = read(at + left - kWord, kWord);
  } else if (left >= kWord / 2) {
    first = read(at, kWord / 2);
    last = read(at + left - kWord / 2, kWord / 2);
  } else if (left > 0) {
    first = read(at, 1) << 16 | read(at + left / 2, 1) << 8 | read(at + left - 1, 1);
  }
  return fold(fold(first ^ secrets.block, last ^ hash), secrets.block ^ kOdd);
}

}  // namespace qatime::backlog
