// SPDX-License-Identifier: MIT
#include "redis/keys.h"

#include <array>
#include <charconv>
#include <chrono>

#include <fmt/core.h>

namespace qatime::backlog::redis {
namespace {

constexpr unsigned kSlots = 16'384;

constexpr std::array<std::uint16_t, 256> make_crc_table() {
  std::array<std::uint16_t, 256> table{};
  for (unsigned byte = 0; byte < table.size(); ++byte) {
    unsigned crc = byte << 8U;
    for (int bit = 0; bit < 8; ++bit) crc = (crc << 1U) ^ ((crc & 0x8000U) != 0 ? 0x1021U : 0U);
    table[byte] = static_cast<std::uint16_t>(crc);
  }
  return table;
}

constexpr auto kCrc = make_crc_table();

RedisKey shard_key(const std::string& prefix, unsigned shard, const char* what) {
  return RedisKey{fmt::format("{{{}:{}}}:{}", prefix, shard, what)};
}

RedisKey common_key(const std::string& prefix, const char* what) {
  return RedisKey{fmt::format("{{{}}}:{}", prefix, what)};
}

}  // namespace

unsigned slot_of(std::string_view key) noexcept {
  if (const std::size_t open = key.find('{'); open != std::string_view::npos) {
    const std::size_t close = key.find('}', open + 1);
    if (close != std::string_view::npos && close > open + 1) key = key.substr(open + 1, close - open - 1);
  }
  unsigned crc = 0;
  for (const char c : key) {
    crc = ((crc << 8U) & 0xFFFFU) ^ kCrc[((crc >> 8U) ^ static_cast<unsigned char>(c)) & 0xFFU];
  }
  return crc % kSlots;
}

unsigned shard_of(std::string_view directory, unsigned shards) noexcept {
  std::uint64_t hash = 0xCBF29CE484222325;
  for (const char c : directory) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3;
  return static_cast<unsigned>((hash ^ hash >> 32U) % shards);
}

Keys::Keys(const std::string& prefix, unsigned shards)
    : instances_{common_key(prefix, "instances")},
      addresses_{common_key(prefix, "addresses")},
      changes_{common_key(prefix, "changes")},
      swept_{common_key(prefix, "swept")} {
  for (unsigned shard = 0; shard < shards; ++shard) {
    pending_.push_back(shard_key(prefix, shard, "pending"));
    lease_.push_back(shard_key(prefix, shard, "lease"));
  }
}

std::optional<Member> parse_member(std::string_view text) noexcept {
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  if (slash == 0) return Member{text, std::nullopt};
  std::int64_t as_of = 0;
  const auto* const begin = text.data();
  const auto [end, error] = std::from_chars(begin, begin + slash, as_of);
  if (error != std::errc{} || end != begin + slash) return std::nullopt;
  return Member{text.substr(slash), Time{std::chrono::nanoseconds{as_of}}};
}

std::string format_member(std::string_view name, Time as_of) {
  return fmt::format("{}{}", as_of.time_since_epoch().count(), name);
}

std::int64_t to_score(Time time) noexcept {
  return std::chrono::floor<std::chrono::microseconds>(time.time_since_epoch()).count();
}

Time from_score(std::int64_t score) noexcept { return Time{std::chrono::microseconds{score}}; }

std::optional<std::int64_t> parse_score(std::string_view text) noexcept {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  constexpr double kExact = 9007199254740992;                 // 2^53
  const bool is_exact = value >= -kExact && value <= kExact;  // NaN is not
  if (error != std::errc{} || end != text.data() + text.size() || !is_exact) return std::nullopt;
  return static_cast<std::int64_t>(value);
}

std::int64_t leading_number(std::string_view text) noexcept {
  std::int64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

}  // namespace qatime::backlog::redis
