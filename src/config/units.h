// SPDX-License-Identifier: MIT
// Numbers, durations and sizes as people write them.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

namespace qatime {

// A whole number from `least` to `most`, of decimal digits alone: "514". Nothing for other text.
[[nodiscard]] std::optional<std::uint64_t> parse_number(std::string_view text, std::uint64_t least,
                                                        std::uint64_t most) noexcept;

// A whole number and a unit of ns, us, ms, s, m, h or d: "100ms", "24h", "0s". Nothing for other text and for what
// 64 bits of nanoseconds cannot hold.
[[nodiscard]] std::optional<std::chrono::nanoseconds> parse_duration(std::string_view text) noexcept;

// A whole number and a unit of B, KiB, MiB, GiB or TiB, with or without a space: "256 KiB". In bytes.
[[nodiscard]] std::optional<std::uint64_t> parse_size(std::string_view text) noexcept;

}  // namespace qatime
