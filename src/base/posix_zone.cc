// SPDX-License-Identifier: MIT
#include "base/posix_zone.h"

#include <algorithm>
#include <cstddef>

namespace qatime {

using namespace std::chrono;

// Reads the text from left to right, and keeps in mind whether all of it fitted.
class PosixZoneReader {
 public:
  explicit PosixZoneReader(std::string_view text) noexcept : text_{text} {}

  // Three letters or more, or characters in angle brackets.
  void name() noexcept {
    const bool quoted = skip('<');
    const auto end = std::ranges::find_if(text_, [&](char c) { return quoted ? c == '>' : !is_letter(c); });
    const auto length = static_cast<std::size_t>(end - text_.begin());
    text_.remove_prefix(length);
    if (quoted) expect('>');
    if (length < 3) ok_ = false;
  }

  // How far the clock is behind UTC, [+-]h[:m[:s]], as an offset.
  seconds offset() noexcept { return -time(24); }

  // A date and perhaps a time: ,M3.5.0/3
  PosixZone::Rule change() noexcept {
    using Kind = PosixZone::Rule::Kind;
    PosixZone::Rule read;
    expect(',');
    if (skip('M')) {
      read.month = number(1, 12);
      expect('.');
      read.week = number(1, 5);
      expect('.');
      read.day = number(0, 6);
    } else if (skip('J')) {
      read.kind = Kind::common_day;
      read.day = number(1, 365);
    } else {
      read.kind = Kind::day;
      read.day = number(0, 365);
    }
    if (skip('/')) read.time = time(167);
    return read;
  }

  [[nodiscard]] bool at(char c) const noexcept { return text_.starts_with(c); }
  [[nodiscard]] bool at_end() const noexcept { return text_.empty(); }
  [[nodiscard]] bool ok() const noexcept { return ok_; }

 private:
  static bool is_letter(char c) noexcept { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'); }

  seconds time(unsigned most_hours) noexcept {
    const bool negative = skip('-');
    if (!negative) skip('+');
    seconds value = hours{number(0, most_hours)};
    if (skip(':')) value += minutes{number(0, 59)};
    if (skip(':')) value += seconds{number(0, 59)};
    return negative ? -value : value;
  }

  unsigned number(unsigned least, unsigned most) noexcept {
    unsigned value = 0;
    std::size_t digits = 0;
    for (; digits < 3 && digits < text_.size() && text_[digits] >= '0' && text_[digits] <= '9'; ++digits) {
      value = value * 10 + static_cast<unsigned>(text_[digits] - '0');
    }
    text_.remove_prefix(digits);
    if (digits == 0 || value < least || value > most) ok_ = false;
    return value;
  }

  bool skip(char c) noexcept {
    if (!at(c)) return false;
    text_.remove_prefix(1);
    return true;
  }

  void expect(char c) noexcept {
    if (!skip(c)) ok_ = false;
  }

  std::string_view text_;
  bool ok_ = true;
};

std::optional<PosixZone> PosixZone::parse(std::string_view text) noexcept {
  PosixZone zone;
  PosixZoneReader reader{text};
  reader.name();
  zone.standard_ = reader.offset();
  if (!reader.at_end()) {
    reader.name();
    Saving saving{.offset = zone.standard_ + hours{1}, .begin = {}, .end = {}};
    if (!reader.at(',')) saving.offset = reader.offset();
    saving.begin = reader.change();
    saving.end = reader.change();
    zone.saving_ = saving;
  }
  if (!reader.ok() || !reader.at_end()) return std::nullopt;
  return zone;
}

local_seconds PosixZone::Rule::in(year year) const noexcept {
  const local_days new_year{year / January / 1};
  switch (kind) {
    case Kind::common_day:
      return new_year + days{day - 1} + days{year.is_leap() && day > 31 + 28 ? 1 : 0} + time;
    case Kind::day:
      return new_year + days{day} + time;
    case Kind::weekday:
      break;
  }
  const std::chrono::month of{month};
  const std::chrono::weekday on{day};
  return (week == 5 ? local_days{year / of / on[last]} : local_days{year / of / on[week]}) + time;
}

seconds PosixZone::offset_at(sys_seconds time) const noexcept {
  if (!saving_) return standard_;
  const year_month_day date{floor<days>(time + standard_)};
  const sys_seconds begin{saving_->begin.in(date.year()).time_since_epoch() - standard_};
  const sys_seconds end{saving_->end.in(date.year()).time_since_epoch() - saving_->offset};
  // South of the equator it is in force over the turn of the year.
  const bool is_saving = begin <= end ? time >= begin && time < end : time >= begin || time < end;
  return is_saving ? saving_->offset : standard_;
}

}  // namespace qatime
