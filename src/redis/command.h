// SPDX-License-Identifier: MIT
// A command for Redis.
#pragma once

#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <string>
#include <string_view>

namespace qatime::backlog::redis {

// A command as the bytes that Redis reads: an array of bulk strings (RESP2).
class Command {
 public:
  Command(std::initializer_list<std::string_view> words) {
    for (const std::string_view word : words) add(word);
  }

  Command& add(std::string_view word) {
    bytes_ += '$';
    add_number(static_cast<std::int64_t>(word.size()));
    bytes_ += "\r\n";
    bytes_ += word;
    bytes_ += "\r\n";
    ++words_;
    return *this;
  }

  Command& add(std::int64_t number) {
    std::array<char, kDigits> digits{};
    const auto end = std::to_chars(digits.begin(), digits.end(), number).ptr;
    return add(std::string_view{digits.begin(), end});
  }

  // All words of `other` behind ours.
  Command& append(const Command& other) {
    bytes_ += std::string_view{other.bytes_}.substr(kHead);
    words_ += other.words_;
    return *this;
  }

  [[nodiscard]] std::size_t words() const noexcept { return words_; }

  // To be sent; valid until the next change.
  [[nodiscard]] std::string_view bytes() {
    std::array<char, kHead> head{'*'};
    char* end = std::to_chars(head.data() + 1, head.data() + kHead - 2, words_).ptr;
    *end++ = '\r';
    *end++ = '\n';
    const auto size = static_cast<std::size_t>(end - head.data());
    std::memcpy(bytes_.data() + kHead - size, head.data(), size);
    return std::string_view{bytes_}.substr(kHead - size);
  }

 private:
  static constexpr std::size_t kDigits = 20;
  static constexpr std::size_t kHead = 16;  // room for the number of words, right before them

  void add_number(std::int64_t number) {
    std::array<char, kDigits> digits{};
    bytes_.append(digits.begin(), std::to_chars(digits.begin(), digits.end(), number).ptr);
  }

  std::size_t words_ = 0;
  std::string bytes_ = std::string(kHead, ' ');
};

}  // namespace qatime::backlog::redis
