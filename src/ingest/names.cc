// SPDX-License-Identifier: MIT
#include "ingest/names.h"

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <new>

#include <utf8proc.h>

namespace qatime::ingest {
namespace {

// No text becomes shorter by more: "K", the Kelvin sign, has three bytes and becomes "k".
constexpr std::size_t kMostShrinking = 3;

constexpr char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool is_ascii(std::string_view text) noexcept {
  return std::ranges::none_of(text, [](char c) { return static_cast<unsigned char>(c) > 0x7F; });
}

const utf8proc_uint8_t* bytes_of(std::string_view text) noexcept {
  return reinterpret_cast<const utf8proc_uint8_t*>(text.data());
}

// Returns what `text` begins with that is UTF-8 (RFC 3629).
std::string_view utf8_part(std::string_view text) noexcept {
  std::size_t size = 0;
  while (size < text.size()) {
    const std::string_view rest = text.substr(size);
    utf8proc_int32_t code = 0;
    const utf8proc_ssize_t length = utf8proc_iterate(bytes_of(rest), std::ssize(rest), &code);
    if (length <= 0) break;
    size += static_cast<std::size_t>(length);
  }
  return text.substr(0, size);
}

void append_folded(std::string& folded, std::string_view utf8) {
  // NOLINTNEXTLINE(clang-analyzer-optin.core.EnumCastOutOfRange): a set of bits
  constexpr auto kOptions = static_cast<utf8proc_option_t>(UTF8PROC_CASEFOLD | UTF8PROC_DECOMPOSE);
  utf8proc_uint8_t* made = nullptr;
  const utf8proc_ssize_t size = utf8proc_map(bytes_of(utf8), std::ssize(utf8), &made, kOptions);
  if (size < 0) throw std::bad_alloc{};
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner{made, std::free};
  folded.append(reinterpret_cast<const char*>(made), static_cast<std::size_t>(size));
}

}  // namespace

std::string fold(std::string_view text) {
  std::string folded;
  while (!text.empty()) {
    const std::string_view utf8 = utf8_part(text);
    append_folded(folded, utf8);
    text.remove_prefix(utf8.size());
    folded += text.substr(0, 1);  // no UTF-8
    text.remove_prefix(std::min<std::size_t>(text.size(), 1));
  }
  return folded;
}

NameSet::NameSet(std::span<const std::string> names) {
  for (const std::string& name : names) {
    folded_.push_back(fold(name));
    longest_ = std::max(longest_, folded_.back().size());
  }
}

// The limit of length is there for time, too: sorting many accents behind one letter takes its square.
bool NameSet::find(std::string_view name) const {
  const auto is_one = [&](std::string_view folded) { return std::ranges::equal(folded, name, {}, {}, lower); };
  if (std::ranges::any_of(folded_, is_one)) return true;
  if (name.size() > kMostShrinking * longest_ || is_ascii(name)) return false;
  return std::ranges::find(folded_, fold(name)) != folded_.end();
}

}  // namespace qatime::ingest
