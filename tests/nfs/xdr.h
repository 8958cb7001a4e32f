// SPDX-License-Identifier: MIT
// XDR (RFC 4506), as much as a test server needs: big-endian words, and opaques padded to whole words.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

namespace qatime::nfs::testing {

class XdrReader {
 public:
  explicit XdrReader(std::string_view bytes) : rest_{bytes} {}

  // Throws std::out_of_range when nothing is left, like the others.
  std::uint32_t word() {
    std::uint32_t value = 0;
    for (const char byte : take(4)) value = value << 8 | static_cast<unsigned char>(byte);
    return value;
  }
  std::uint64_t hyper() {
    const std::uint64_t high = word();
    return high << 32 | word();
  }
  std::string opaque() {
    const std::uint32_t size = word();
    std::string bytes{take(size)};
    take((4 - size % 4) % 4);
    return bytes;
  }
  [[nodiscard]] bool at_end() const { return rest_.empty(); }

 private:
  std::string_view take(std::size_t size) {
    if (size > rest_.size()) throw std::out_of_range{"truncated XDR"};
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }

  std::string_view rest_;
};

class XdrWriter {
 public:
  XdrWriter& word(std::uint32_t value) {
    for (int shift = 24; shift >= 0; shift -= 8) bytes_ += static_cast<char>(value >> shift & 0xff);
    return *this;
  }
  XdrWriter& hyper(std::uint64_t value) {
    return word(static_cast<std::uint32_t>(value >> 32)).word(static_cast<std::uint32_t>(value));
  }
  XdrWriter& opaque(std::string_view bytes) {
    word(static_cast<std::uint32_t>(bytes.size()));
    bytes_ += bytes;
    bytes_.append((4 - bytes.size() % 4) % 4, '\0');
    return *this;
  }
  XdrWriter& raw(std::string_view bytes) {
    bytes_ += bytes;
    return *this;
  }
  [[nodiscard]] const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

}  // namespace qatime::nfs::testing
