// SPDX-License-Identifier: MIT
#include "ingest/parse/rfc3164.h"

#include <algorithm>
#include <cstddef>

namespace qatime::ingest {
namespace {

using namespace std::chrono;

// A missing zone puts a time up to 14 hours ahead. Such a time is of this year, and the policy ignores it.
constexpr nanoseconds kLeastAhead = days{1};
// A limit of a year would make a time of today one of next year.
constexpr nanoseconds kMostAhead = days{183};
// 29 February may be eight years away: 1896 and 1904.
constexpr years kLongestWayToLeapYear{8};

constexpr bool is_decimal(char c) noexcept { return c >= '0' && c <= '9'; }

constexpr unsigned digit(char c) noexcept { return static_cast<unsigned>(c - '0'); }

// From 1 on; 0 for other text.
unsigned month_number(std::string_view name) noexcept {
  constexpr std::string_view kNames = "JanFebMarAprMayJunJulAugSepOctNovDec";
  const std::size_t at = name.size() == 3 ? kNames.find(name) : std::string_view::npos;
  return at == std::string_view::npos || at % 3 != 0 ? 0 : static_cast<unsigned>(at / 3 + 1);
}

// " 6", "06", "6" or "27"; 0 for other text.
unsigned day_number(std::string_view text) noexcept {
  if (text.starts_with(' ')) text.remove_prefix(1);
  if (text.empty() || text.size() > 2 || !is_decimal(text.front()) || !is_decimal(text.back())) return 0;
  return text.size() == 1 ? digit(text[0]) : digit(text[0]) * 10 + digit(text[1]);
}

// "14:12:23", or with a fraction.
std::optional<nanoseconds> time_of_day(std::string_view text) noexcept {
  constexpr std::string_view kPattern = "00:00:00";
  if (text.size() < kPattern.size()) return std::nullopt;
  for (std::size_t i = 0; i < kPattern.size(); ++i) {
    if (kPattern[i] == '0' ? !is_decimal(text[i]) : text[i] != kPattern[i]) return std::nullopt;
  }
  const auto number = [&](std::size_t at) { return digit(text[at]) * 10 + digit(text[at + 1]); };
  std::string_view rest = text.substr(kPattern.size());
  const nanoseconds fraction = take_fraction(rest);
  if (number(0) > 23 || number(3) > 59 || number(6) > 60 || !rest.empty()) return std::nullopt;
  return hours{number(0)} + minutes{number(3)} + seconds{number(6)} + (number(6) == 60 ? 0ns : fraction);
}

}  // namespace

std::optional<Time> parse_rfc3164_time(std::string_view text, const LocalClock& local) {
  if (text.size() < 4 || text[3] != ' ') return std::nullopt;
  const std::size_t space = text.rfind(' ');
  const month of{month_number(text.substr(0, 3))};
  const day on{day_number(text.substr(4, space - 4))};
  const std::optional<nanoseconds> clock = time_of_day(text.substr(space + 1));
  if (!clock) return std::nullopt;

  const Time latest = local.now + std::clamp(local.future_limit, kLeastAhead, kMostAhead);
  // In the zone it may be next year already.
  const year newest = year_month_day{floor<days>(latest)}.year() + years{1};
  for (year in = newest; in >= newest - kLongestWayToLeapYear - years{1}; --in) {
    const year_month_day date{in, of, on};
    if (!date.ok()) continue;
    const auto whole = floor<seconds>(*clock);
    const Time time = local.zone.to_utc(local_days{date} + whole) + (*clock - whole);
    if (time <= latest) return time;
  }
  return std::nullopt;
}

}  // namespace qatime::ingest
