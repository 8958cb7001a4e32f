// SPDX-License-Identifier: MIT
#include "base/timestamp.h"

#include "catch.h"

namespace qatime::timestamp_test {
namespace {

std::string reformatted(std::string_view text) {
  const auto time = parse_rfc3339(text);
  return time ? format_rfc3339(*time) : "nothing";
}

}  // namespace

TEST_CASE("A time keeps its nanoseconds, whatever the length of its fraction") {
  CHECK(reformatted("2026-01-27T14:12:23Z") == "2026-01-27T14:12:23.000000000Z");
  CHECK(reformatted("2026-01-27T14:12:23.9Z") == "2026-01-27T14:12:23.900000000Z");
  CHECK(reformatted("2021-05-18T00:50:00.00333Z") == "2021-05-18T00:50:00.003330000Z");
  CHECK(reformatted("2026-01-27T14:12:23.123456789Z") == "2026-01-27T14:12:23.123456789Z");
  CHECK(reformatted("2026-01-27T14:12:23.Z") == "2026-01-27T14:12:23.000000000Z");
  const std::string nine = "987654321";
  for (std::size_t digits = 1; digits <= nine.size(); ++digits) {
    const std::string time = "2026-01-27T14:12:23." + nine.substr(0, digits);
    CHECK(reformatted(time + "Z") == time + std::string(nine.size() - digits, '0') + "Z");
  }
}

TEST_CASE("An offset is taken off, and none means UTC") {
  CHECK(reformatted("2026-01-01T00:30:00+01:00") == "2025-12-31T23:30:00.000000000Z");
  CHECK(reformatted("2026-01-01T00:30:00.5-05:30") == "2026-01-01T06:00:00.500000000Z");
  CHECK(reformatted("2019-11-08T15:31:40") == "2019-11-08T15:31:40.000000000Z");
  CHECK(reformatted("2026-01-02T00:00:00+23:59") == "2026-01-01T00:01:00.000000000Z");
  CHECK(reformatted("2026-01-01T00:00:00-23:00") == "2026-01-01T23:00:00.000000000Z");
}

TEST_CASE("The calendar is Gregorian, leap days and leap seconds included") {
  CHECK(reformatted("2024-02-29T23:59:59Z") == "2024-02-29T23:59:59.000000000Z");
  CHECK(reformatted("2000-02-29T00:00:00Z") == "2000-02-29T00:00:00.000000000Z");
  CHECK(reformatted("2016-12-31T23:59:60.5Z") == "2017-01-01T00:00:00.000000000Z");
  CHECK(reformatted("1969-12-31T23:59:59.9Z") == "1969-12-31T23:59:59.900000000Z");
  CHECK(reformatted("2023-02-29T00:00:00Z") == "nothing");
  CHECK(reformatted("2100-02-29T00:00:00Z") == "nothing");
}

TEST_CASE("Text that is no time is nothing") {
  for (const char* text :
       {"", "2026", "2026-01-27", "2026-01-27 14:12:23Z", "2026-1-27T14:12:23Z", "2026-13-01T00:00:00Z",
        "2026-01-00T00:00:00Z", "2026-01-27T24:00:00Z", "2026-01-27T23:60:00Z", "2026-01-27T23:59:61Z",
        "2026-01-27T14:12:23.1234567890Z", "2026-01-27T14:12:23Zz", "2026-01-27T14:12:23+24:00",
        "2026-01-27T14:12:23+01", "2026-01-27T14:12:23+0100", "-026-01-27T14:12:23Z", "2026-01-27T14:12:23Z ",
        "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_rfc3339(text));
  }
  for (const char* text :
       {"2026-01-27T14:12:23+00:60", "2026-01-27T14:12:23.:Z", "2026-01-2:T14:12:23Z", "2026-01-27T14:12:23*01:00",
        "2026-01-27T14:12:235Z", "s526-01-27T14:12:23Z", "2026-01-27T14:12:23+/1:00", "2026-01-27T14:12:23+0/:00"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_rfc3339(text));
  }
}

TEST_CASE("The letters of a time may be small") {
  CHECK(reformatted("2026-01-27t14:12:23z") == "2026-01-27T14:12:23.000000000Z");
}

TEST_CASE("A time that nanoseconds since 1970 cannot hold is nothing") {
  CHECK(reformatted("2262-04-11T23:47:14.999999999Z") == "2262-04-11T23:47:14.999999999Z");
  CHECK(reformatted("2262-04-11T23:47:15Z") == "nothing");
  CHECK(reformatted("1677-09-21T00:12:46Z") == "1677-09-21T00:12:46.000000000Z");
  CHECK(reformatted("1677-09-21T00:12:45.999999999Z") == "nothing");
}

TEST_CASE("A second is known again, with another fraction and offset, and no other is taken for it") {
  const std::string before = "2026-01-27T14:12:23";
  for (std::size_t at = 0; at < before.size(); ++at) {
    CHECK(reformatted(before + ".5Z") == before + ".500000000Z");
    CHECK(reformatted(before + ".25+01:00") == "2026-01-27T13:12:23.250000000Z");
    std::string other = before;
    other[at] = other[at] == '1' ? '0' : '1';
    CHECK(reformatted(other + ".5Z") != before + ".500000000Z");
  }
  for (int count = 0; count < 2; ++count)
    CHECK(reformatted("2016-12-31T23:59:60.5Z") == "2017-01-01T00:00:00.000000000Z");
}

TEST_CASE("A NUL after a time is not part of it") {
  CHECK_FALSE(parse_rfc3339({"2026-01-01T00:00:00+24:00\0", 26}));
  CHECK_FALSE(parse_rfc3339({"2026-01-01T00:00:00Z\0", 21}));
}

TEST_CASE("nfstime3 begins in 1970 and ends in 2106") {
  CHECK_FALSE(fits_nfstime3(*parse_rfc3339("1969-12-31T23:59:59.999999999Z")));
  CHECK(fits_nfstime3(*parse_rfc3339("1970-01-01T00:00:00Z")));
  CHECK(fits_nfstime3(*parse_rfc3339("2106-02-07T06:28:15.999999999Z")));
  CHECK_FALSE(fits_nfstime3(*parse_rfc3339("2106-02-07T06:28:16Z")));
}

TEST_CASE("A time of RFC 3339 names its offset, or none") {
  for (const char* const text : {"2026-01-27T14:12:23Z", "2026-01-27t14:12:23.5z", "2026-01-27T14:12:23+09:00",
                                 "2026-01-27T14:12:23.123456789-00:00"}) {
    CAPTURE(text);
    CHECK(parse_rfc3339(text));
    CHECK(has_offset(text));
  }
  for (const char* const text :
       {"2026-01-27T14:12:23", "2026-01-27T14:12:23.", "2026-01-27T14:12:23.5", "2026-01-27T14:12:23.123456789"}) {
    CAPTURE(text);
    CHECK(parse_rfc3339(text));
    CHECK_FALSE(has_offset(text));
  }
}

TEST_CASE("A period has its begin and not its end") {
  const Period period{*parse_rfc3339("2026-01-27T14:12:23Z"), *parse_rfc3339("2026-01-27T14:12:24Z")};
  CHECK_FALSE(period.has(period.begin - std::chrono::nanoseconds{1}));
  CHECK(period.has(period.begin));
  CHECK(period.has(period.end - std::chrono::nanoseconds{1}));
  CHECK_FALSE(period.has(period.end));
}

}  // namespace qatime::timestamp_test
