// SPDX-License-Identifier: MIT
// Comparisons of words without regard to the case of ASCII letters.
#pragma once

#include <algorithm>
#include <span>
#include <string>
#include <string_view>

namespace qatime::ingest {

[[nodiscard]] constexpr char lower(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

[[nodiscard]] inline bool equal_words(std::string_view a, std::string_view b) noexcept {
  return std::ranges::equal(a, b, [](char x, char y) { return lower(x) == lower(y); });
}

// Whether one of `words` is `word`.
[[nodiscard]] inline bool has_word(std::span<const std::string> words, std::string_view word) noexcept {
  return std::ranges::any_of(words, [&](const std::string& one) { return equal_words(one, word); });
}

}  // namespace qatime::ingest
