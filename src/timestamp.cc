// SPDX-License-Identifier: MIT
#include "timestamp.h"

#include <cstdint>
#include <limits>

#include <fmt/core.h>

namespace qatime {
namespace {

using namespace std::chrono;

// Reads the text from left to right; once something did not fit, everything after fails too.
class Reader {
 public:
  explicit Reader(std::string_view text) noexcept : text_{text} {}

  // Exactly `digits` decimal digits.
  int number(int digits) noexcept {
    int value = 0;
    for (int i = 0; i < digits; ++i) {
      if (!at_digit()) return fail();
      value = value * 10 + (text_.front() - '0');
      text_.remove_prefix(1);
    }
    return value;
  }

  bool skip(char c) noexcept {
    if (text_.empty() || text_.front() != c) return false;
    text_.remove_prefix(1);
    return true;
  }

  void expect(char c) noexcept {
    if (!skip(c)) fail();
  }

  // 0 to 9 digits of a fraction of a second.
  nanoseconds fraction() noexcept {
    std::int64_t value = 0;
    int digits = 0;
    for (; at_digit(); ++digits) {
      if (digits == 9) return nanoseconds{fail()};
      value = value * 10 + (text_.front() - '0');
      text_.remove_prefix(1);
    }
    for (; digits < 9; ++digits) value *= 10;
    return nanoseconds{value};
  }

  // Returns 0.
  int fail() noexcept {
    ok_ = false;
    text_ = {};
    return 0;
  }

  [[nodiscard]] bool done() const noexcept { return ok_ && text_.empty(); }

 private:
  [[nodiscard]] bool at_digit() const noexcept {
    return !text_.empty() && text_.front() >= '0' && text_.front() <= '9';
  }

  std::string_view text_;
  bool ok_ = true;
};

// How far local time is ahead of UTC.
minutes read_offset(Reader& reader) noexcept {
  const bool ahead = reader.skip('+');
  if (!ahead && !reader.skip('-')) return {};
  const int h = reader.number(2);
  reader.expect(':');
  const int m = reader.number(2);
  if (h > 23 || m > 59) reader.fail();
  return ahead ? minutes{h * 60 + m} : -minutes{h * 60 + m};
}

bool fits(sys_seconds time) noexcept {
  // One second less than Time can hold on either side, so that a fraction cannot overflow.
  constexpr std::int64_t kLimit = std::numeric_limits<std::int64_t>::max() / 1'000'000'000 - 1;
  return time.time_since_epoch().count() < kLimit && time.time_since_epoch().count() > -kLimit;
}

}  // namespace

std::optional<Time> parse_rfc3339(std::string_view text) noexcept {
  Reader reader{text};
  const year y{reader.number(4)};
  reader.expect('-');
  const month mon{static_cast<unsigned>(reader.number(2))};
  reader.expect('-');
  const day d{static_cast<unsigned>(reader.number(2))};
  if (!reader.skip('T') && !reader.skip('t')) return std::nullopt;
  const int h = reader.number(2);
  reader.expect(':');
  const int m = reader.number(2);
  reader.expect(':');
  const int s = reader.number(2);
  const nanoseconds fraction = reader.skip('.') ? reader.fraction() : nanoseconds{};
  const minutes ahead = reader.skip('Z') || reader.skip('z') ? minutes{} : read_offset(reader);

  const year_month_day date{y, mon, d};
  if (!reader.done() || !date.ok() || h > 23 || m > 59 || s > 60) return std::nullopt;
  const sys_seconds whole = sys_days{date} + hours{h} + minutes{m} + seconds{s} - ahead;
  if (!fits(whole)) return std::nullopt;
  return s == 60 ? Time{whole} : Time{whole} + fraction;
}

std::string format_rfc3339(Time time) {
  const auto midnight = floor<days>(time);
  const year_month_day date{midnight};
  const hh_mm_ss clock{time - midnight};
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:09}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), clock.hours().count(),
                     clock.minutes().count(), clock.seconds().count(), clock.subseconds().count());
}

}  // namespace qatime
