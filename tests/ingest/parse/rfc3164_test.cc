// SPDX-License-Identifier: MIT
#include "ingest/parse/rfc3164.h"

#include <string>
#include <string_view>

#include "catch.h"

namespace qatime::ingest::rfc3164_test {
namespace {

using namespace std::chrono_literals;

// The time that `text` says to somebody who reads it in `zone` at `now`.
std::string read(std::string_view text, std::string_view now, const char* zone = "UTC",
                 std::chrono::nanoseconds limit = 5min) {
  const auto loaded = TimeZone::load(zone);
  REQUIRE(loaded);
  const auto time = parse_rfc3164_time(text, {*loaded, *parse_rfc3339(now), limit});
  return time ? format_rfc3339(*time).substr(0, 19) : "nothing";
}

TEST_CASE("The year is the latest that puts the time no more than a day ahead") {
  CHECK(read("Jun  6 14:52:28", "2026-06-06T14:52:28Z") == "2026-06-06T14:52:28");
  CHECK(read("Jun  6 14:52:28", "2026-06-05T14:52:28Z") == "2026-06-06T14:52:28");
  CHECK(read("Jun  6 14:52:28", "2026-06-05T14:52:27.999Z") == "2025-06-06T14:52:28");
  CHECK(read("Jun  7 00:00:00", "2026-06-05T12:00:00Z") == "2025-06-07T00:00:00");
}

TEST_CASE("A time that a missing zone puts ahead is of this year, whatever the limit") {
  const std::chrono::nanoseconds limit = GENERATE(as<std::chrono::nanoseconds>{}, 0ns, 5min, 24h);
  CHECK(read("Jun  6 14:57:28", "2026-06-06T14:52:28Z", "UTC", limit) == "2026-06-06T14:57:28");
  CHECK(read("Jun  7 04:52:28", "2026-06-06T14:52:28Z", "UTC", limit) == "2026-06-07T04:52:28");
  CHECK(read("Jan  1 08:00:00", "2025-12-31T23:00:00Z", "UTC", limit) == "2026-01-01T08:00:00");
  CHECK(read("Feb 29 03:00:00", "2028-02-28T18:00:00Z", "UTC", limit) == "2028-02-29T03:00:00");
  CHECK(read("Jun  7 14:52:29", "2026-06-06T14:52:28Z", "UTC", limit) == "2025-06-07T14:52:29");
}

TEST_CASE("A longer limit lets the year be one that puts the time further ahead, by half a year at most") {
  CHECK(read("Jun  8 14:52:28", "2026-06-06T14:52:28Z", "UTC", 48h) == "2026-06-08T14:52:28");
  CHECK(read("Jun  8 14:52:29", "2026-06-06T14:52:28Z", "UTC", 48h) == "2025-06-08T14:52:29");
  const std::chrono::nanoseconds limit =
      GENERATE(as<std::chrono::nanoseconds>{}, 183 * 24h, 366 * 24h, 10 * 366 * 24h, std::chrono::nanoseconds::max());
  CHECK(read("Jun  6 14:52:28", "2026-06-06T14:52:28Z", "UTC", limit) == "2026-06-06T14:52:28");
  CHECK(read("Dec  6 14:52:28", "2026-06-06T14:52:28Z", "UTC", limit) == "2026-12-06T14:52:28");
  CHECK(read("Dec  6 14:52:29", "2026-06-06T14:52:28Z", "UTC", limit) == "2025-12-06T14:52:29");
}

TEST_CASE("The turn of the year may lie between the time and its reading") {
  CHECK(read("Dec 31 23:59:59", "2026-01-01T00:00:01Z") == "2025-12-31T23:59:59");
  CHECK(read("Jan  1 00:00:01", "2025-12-31T23:59:59Z") == "2026-01-01T00:00:01");
  CHECK(read("Jan  1 00:00:00", "2026-01-01T00:00:00Z") == "2026-01-01T00:00:00");
  CHECK(read("Jan  1 13:59:59", "2025-12-31T10:00:00Z", "Pacific/Kiritimati") == "2025-12-31T23:59:59");
  CHECK(read("Jan  1 00:30:00", "2025-12-30T11:00:00Z", "Pacific/Kiritimati") == "2025-12-31T10:30:00");
  CHECK(read("Dec 31 12:00:00", "2026-01-01T10:00:00Z", "Pacific/Pago_Pago") == "2025-12-31T23:00:00");
}

TEST_CASE("29 February is of the latest leap year") {
  CHECK(read("Feb 29 12:00:00", "2028-02-29T12:00:00Z") == "2028-02-29T12:00:00");
  CHECK(read("Feb 29 12:00:00", "2028-02-28T12:00:00Z") == "2028-02-29T12:00:00");
  CHECK(read("Feb 29 12:00:00", "2028-02-28T11:59:59Z") == "2024-02-29T12:00:00");
  CHECK(read("Feb 29 12:00:00", "2027-03-01T00:00:00Z") == "2024-02-29T12:00:00");
  CHECK(read("Feb 29 12:00:00", "2104-02-01T00:00:00Z") == "2096-02-29T12:00:00");
}

TEST_CASE("A leap second is the first instant of the next minute") {
  CHECK(read("Dec 31 23:59:60", "2026-06-01T00:00:00Z") == "2026-01-01T00:00:00");
}

TEST_CASE("A fraction of a second counts") {
  const Time now = *parse_rfc3339("2026-06-05T14:52:28.25Z");
  const auto time = [&](std::string_view text) { return parse_rfc3164_time(text, {{}, now, 5min}); };
  CHECK(time("Jun  1 14:52:28.796962") == parse_rfc3339("2026-06-01T14:52:28.796962Z"));
  CHECK(time("Jun  6 14:52:28.25") == parse_rfc3339("2026-06-06T14:52:28.25Z"));
  CHECK(time("Jun  6 14:52:28.26") == parse_rfc3339("2025-06-06T14:52:28.26Z"));
  CHECK(time("May 31 23:59:60.9") == parse_rfc3339("2026-06-01T00:00:00Z"));
}

TEST_CASE("Text that is no traditional time is nothing") {
  for (const char* const text : {"",
                                 "Jun",
                                 "Jun  6",
                                 "Jun  6 ",
                                 "Jun 14:52:28",
                                 "Jun  14:52:28",
                                 "jun  6 14:52:28",
                                 "Jnu  6 14:52:28",
                                 "unJ  6 14:52:28",
                                 "Jun  0 14:52:28",
                                 "Jun 31 14:52:28",
                                 "Feb 30 14:52:28",
                                 "Jun 006 14:52:28",
                                 "Jun   6 14:52:28",
                                 "Jun  6 24:00:00",
                                 "Jun  6 14:60:00",
                                 "Jun  6 14:52:61",
                                 "Jun  6 14:52",
                                 "Jun  6 1:52:28",
                                 "Jun  6 14:52:28 ",
                                 "Jun  6 14:52:28.5x",
                                 "Jun  6 14:52:28,5",
                                 "Jun  6 14:52:28.1234567890",
                                 "Jun  6 14.52.28",
                                 "Jun -6 14:52:28",
                                 "2026 Jun  6 14:52:28"}) {
    CAPTURE(text);
    CHECK(read(text, "2026-06-06T14:52:28Z") == "nothing");
  }
}

TEST_CASE("Characters beside the digits are no digits, and a day has two at most") {
  for (const char* const text : {"Jun  : 14:52:28", "Jun 1: 14:52:28", "Jun :1 14:52:28", "Jun 061 14:52:28",
                                 "Jun  6 14:4::28", "Jun  6 1::52:28", "Jun  6 14:52:1:"}) {
    CAPTURE(text);
    CHECK(read(text, "2026-06-06T14:52:28Z") == "nothing");
  }
}

}  // namespace
}  // namespace qatime::ingest::rfc3164_test
