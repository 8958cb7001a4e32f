// SPDX-License-Identifier: MIT
// Numbers, durations and sizes as people write them.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

namespace qatime {

// Reads an integer from `least` to `most`, in decimal digits only: "514". Returns nothing for other text.
[[nodiscard]] std::optional<std::uint64_t> parse_number(std::string_view text, std::uint64_t least,
                                                        std::uint64_t most) noexcept;

// Reads an integer and a unit (ns, us, ms, s, m, h, d), with or without a space: "100ms", "24 h". Returns nothing for
// other text and for durations of over 2^63 - 1 ns.
[[nodiscard]] std::optional<std::chrono::nanoseconds> parse_duration(std::string_view text) noexcept;

// Reads an integer and a unit (B, KiB, MiB, GiB, TiB), with or without a space: "256 KiB". Returns bytes, or nothing
// for other text and for sizes of over 2^63 - 1 bytes.
[[nodiscard]] std::optional<std::uint64_t> parse_size(std::string_view text) noexcept;

}  // namespace qatime
