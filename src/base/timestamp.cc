// SPDX-License-Identifier: MIT
#include "base/timestamp.h"

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>

#include <fmt/core.h>

namespace qatime {
namespace {

using namespace std::chrono;

bool is_ascii_digit(char c) noexcept { return static_cast<unsigned char>(c - '0') <= 9; }

// Eight bytes of text against a form that has '0' for any digit and '?' for any ASCII character: all at once, since a
// few million records a second come by here. No sum carries into the next byte, so the order of bytes does not matter.
class Form {
 public:
  explicit constexpr Form(std::string_view form) noexcept {
    for (std::size_t i = 0; i < form_.size(); ++i) {
      form_[i] = form[i] == '?' ? 0 : static_cast<std::uint8_t>(form[i]);
      room_[i] = form[i] == '?' ? 0 : form[i] == '0' ? 0x7F - 9 : 0x7F;
    }
  }

  // `text` is long enough.
  [[nodiscard]] bool fits(std::string_view text, std::size_t at) const noexcept {
    std::uint64_t word = 0;
    std::memcpy(&word, text.data() + at, sizeof word);
    word ^= std::bit_cast<std::uint64_t>(form_);  // 0 to 9 where a digit is wanted, 0 where the form has a character
    return ((((word & kLows) + std::bit_cast<std::uint64_t>(room_)) | word) & ~kLows) == 0;
  }

 private:
  static constexpr std::uint64_t kLows = 0x7F7F'7F7F'7F7F'7F7F;

  std::array<std::uint8_t, 8> form_{};
  std::array<std::uint8_t, 8> room_{};
};

constexpr Form kYearAndMonth{"0000-00-"};
constexpr Form kDayAndClock{"00?00:00"};
constexpr Form kClock{"00:00:00"};

// The number that the two digits at `at` are.
int two_digits(std::string_view text, std::size_t at) noexcept { return (text[at] - '0') * 10 + (text[at + 1] - '0'); }

bool skip_char(std::string_view& text, char c) noexcept {
  if (text.empty() || text.front() != c) return false;
  text.remove_prefix(1);
  return true;
}

// How far the local time that `text` is the offset of is ahead of UTC.
std::optional<minutes> parse_offset(std::string_view text) noexcept {
  if (text.empty() || text == "Z" || text == "z") return minutes{};
  if (text.size() != std::string_view{"+00:00"}.size() || (text[0] != '+' && text[0] != '-')) return std::nullopt;
  for (std::size_t i = 1; i < text.size(); ++i) {
    if (i == 3 ? text[i] != ':' : !is_ascii_digit(text[i])) return std::nullopt;
  }
  const int h = two_digits(text, 1);
  const int m = two_digits(text, 4);
  if (h > 23 || m > 59) return std::nullopt;
  return text[0] == '+' ? minutes{h * 60 + m} : -minutes{h * 60 + m};
}

constexpr std::string_view kForm = "0000-00-00T00:00:00";

struct Second {
  sys_seconds begin{};  // of the next one, if it is a leap second
  bool is_leap = false;
};

// `text` has the size of kForm.
std::optional<Second> parse_second(std::string_view text) noexcept {
  if (!kYearAndMonth.fits(text, 0) || !kDayAndClock.fits(text, 8) || !kClock.fits(text, 11)) return std::nullopt;
  if (text[10] != 'T' && text[10] != 't') return std::nullopt;
  const year_month_day date{year{two_digits(text, 0) * 100 + two_digits(text, 2)},
                            month{static_cast<unsigned>(two_digits(text, 5))},
                            day{static_cast<unsigned>(two_digits(text, 8))}};
  const int h = two_digits(text, 11);
  const int m = two_digits(text, 14);
  const int s = two_digits(text, 17);
  if (!date.ok() || h > 23 || m > 59 || s > 60) return std::nullopt;
  return Second{sys_days{date} + hours{h} + minutes{m} + seconds{s}, s == 60};
}

// Likewise. Most records are of the same second as the one before, and to know it again takes a fifth of the time.
std::optional<Second> recall_second(std::string_view text) noexcept {
  thread_local std::array<char, kForm.size()> last{};
  thread_local std::optional<Second> meaning;  // of `last`, once there was one
  if (meaning && std::memcmp(text.data(), last.data(), last.size()) == 0) return meaning;
  const std::optional<Second> second = parse_second(text);
  if (second) {
    std::memcpy(last.data(), text.data(), last.size());
    meaning = second;
  }
  return second;
}

bool fits(sys_seconds time) noexcept {
  // One second less than Time can hold on either side, so that a fraction cannot overflow.
  constexpr std::int64_t kLimit = std::numeric_limits<std::int64_t>::max() / 1'000'000'000 - 1;
  return time.time_since_epoch().count() < kLimit && time.time_since_epoch().count() > -kLimit;
}

}  // namespace

nanoseconds take_fraction(std::string_view& text) noexcept {
  if (!skip_char(text, '.')) return {};
  constexpr std::array kUnits{1'000'000'000, 100'000'000, 10'000'000, 1'000'000, 100'000, 10'000, 1'000, 100, 10, 1};
  int value = 0;
  std::size_t digits = 0;
  for (; digits + 1 < kUnits.size() && digits < text.size() && is_ascii_digit(text[digits]); ++digits) {
    value = value * 10 + (text[digits] - '0');
  }
  text.remove_prefix(digits);
  return nanoseconds{std::int64_t{value} * kUnits[digits]};
}

std::optional<Time> parse_rfc3339(std::string_view text) noexcept {
  if (text.size() < kForm.size()) return std::nullopt;
  const std::optional<Second> second = recall_second(text.substr(0, kForm.size()));
  text.remove_prefix(kForm.size());
  const nanoseconds fraction = take_fraction(text);
  const std::optional<minutes> ahead = parse_offset(text);

  if (!second || !ahead) return std::nullopt;
  const sys_seconds whole = second->begin - *ahead;
  if (!fits(whole)) return std::nullopt;
  return second->is_leap ? Time{whole} : Time{whole} + fraction;
}

std::string format_rfc3339(Time time) {
  const auto whole = floor<seconds>(time);
  const auto midnight = floor<days>(whole);  // which Time cannot hold on its first day
  const year_month_day date{midnight};
  const hh_mm_ss clock{whole - midnight};
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:09}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), clock.hours().count(),
                     clock.minutes().count(), clock.seconds().count(), (time - whole).count());
}

}  // namespace qatime
