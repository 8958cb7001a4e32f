// SPDX-License-Identifier: MIT
#include "base/timezone.h"

#include <fstream>
#include <iterator>

#include "base/timestamp.h"
#include "catch.h"

namespace qatime::timezone_test {
namespace {

using namespace std::chrono;

std::string utc(const TimeZone& zone, std::string_view local) {
  const auto time = parse_rfc3339(local);
  REQUIRE(time);
  return format_rfc3339(zone.to_utc(local_seconds{floor<seconds>(*time).time_since_epoch()})).substr(0, 19);
}

std::string utc(std::string_view name, std::string_view local) {
  CAPTURE(name, local);
  const auto zone = TimeZone::load(name);
  REQUIRE(zone);
  CHECK(zone->name() == name);
  return utc(*zone, local);
}

using namespace std::string_literals;

// A zone of one offset and a rule from the first instant of 1970 on.
std::string make_file(std::string_view rule, char version = '2') {
  const std::string magic = "TZif"s + version + std::string(15, '\0');
  const auto count = [](char value) { return "\0\0\0"s + value; };
  const std::string counts = count(0) + count(0) + count(0) + count(1) + count(1) + count(4);
  const std::string types = "\0"s;
  const std::string offsets = "\0\0\0\0\0\0"s;
  return magic + counts + std::string(4, '\0') + types + offsets + "UTC\0"s +  //
         magic + counts + std::string(8, '\0') + types + offsets + "UTC\0"s + "\n" + std::string{rule} + "\n";
}

std::string utc_by_rule(std::string_view rule, std::string_view local) {
  CAPTURE(rule, local);
  const auto zone = TimeZone::parse("rule", make_file(rule));
  REQUIRE(zone);
  return utc(*zone, local);
}

}  // namespace

TEST_CASE("UTC needs no file") {
  CHECK(utc("UTC", "2026-06-06T14:52:28") == "2026-06-06T14:52:28");
  CHECK(TimeZone::load("UTC", "/nonexistent"));
  CHECK(TimeZone{}.name() == "UTC");
}

TEST_CASE("Clocks go by the zone's file") {
  CHECK(utc("Europe/Berlin", "2026-01-27T14:00:00") == "2026-01-27T13:00:00");
  CHECK(utc("Europe/Berlin", "2026-07-27T14:00:00") == "2026-07-27T12:00:00");
  CHECK(utc("America/New_York", "2026-01-27T14:00:00") == "2026-01-27T19:00:00");
  CHECK(utc("Asia/Kolkata", "2026-01-27T14:00:00") == "2026-01-27T08:30:00");
  CHECK(utc("Australia/Sydney", "2026-01-27T14:00:00") == "2026-01-27T03:00:00");
  CHECK(utc("Australia/Sydney", "2026-07-27T14:00:00") == "2026-07-27T04:00:00");
  CHECK(utc("Europe/Berlin", "1880-01-01T00:53:28") == "1880-01-01T00:00:00");
}

TEST_CASE("Of a time that clocks show twice it is the first") {
  CHECK(utc("Europe/Berlin", "2026-10-25T01:59:59") == "2026-10-24T23:59:59");
  CHECK(utc("Europe/Berlin", "2026-10-25T02:00:00") == "2026-10-25T00:00:00");
  CHECK(utc("Europe/Berlin", "2026-10-25T02:59:59") == "2026-10-25T00:59:59");
  CHECK(utc("Europe/Berlin", "2026-10-25T03:00:00") == "2026-10-25T02:00:00");
}

TEST_CASE("A time that clocks skip is taken as if they had not been put forward") {
  CHECK(utc("Europe/Berlin", "2026-03-29T01:59:59") == "2026-03-29T00:59:59");
  CHECK(utc("Europe/Berlin", "2026-03-29T02:30:00") == "2026-03-29T01:30:00");
  CHECK(utc("Europe/Berlin", "2026-03-29T03:00:00") == "2026-03-29T01:00:00");
}

TEST_CASE("After the last transition of the file the rule goes on") {
  CHECK(utc("Europe/Berlin", "2099-01-27T14:00:00") == "2099-01-27T13:00:00");
  CHECK(utc("Europe/Berlin", "2099-07-27T14:00:00") == "2099-07-27T12:00:00");
  CHECK(utc("Australia/Sydney", "2099-01-27T14:00:00") == "2099-01-27T03:00:00");
  CHECK(utc("Asia/Tokyo", "2099-01-27T14:00:00") == "2099-01-27T05:00:00");
}

TEST_CASE("Without a rule the offset of the last transition stays in force") {
  CHECK(utc_by_rule("", "2026-06-06T12:00:00") == "2026-06-06T12:00:00");
}

TEST_CASE("Every form of a rule is understood") {
  CHECK(utc_by_rule("UTC0", "2026-06-06T12:00:00") == "2026-06-06T12:00:00");
  CHECK(utc_by_rule("<+0330>-3:30", "2026-06-06T12:00:00") == "2026-06-06T08:30:00");
  CHECK(utc_by_rule("EST5EDT,M3.2.0,M11.1.0", "2026-03-08T01:59:59") == "2026-03-08T06:59:59");
  CHECK(utc_by_rule("EST5EDT,M3.2.0,M11.1.0", "2026-03-08T03:00:00") == "2026-03-08T07:00:00");
  CHECK(utc_by_rule("EST5EDT,M3.2.0,M11.1.0", "2026-11-01T02:00:00") == "2026-11-01T07:00:00");
  CHECK(utc_by_rule("IST-1GMT0,M10.5.0,M3.5.0/1", "2026-01-27T12:00:00") == "2026-01-27T12:00:00");
  CHECK(utc_by_rule("IST-1GMT0,M10.5.0,M3.5.0/1", "2026-06-27T12:00:00") == "2026-06-27T11:00:00");
  CHECK(utc_by_rule("<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "2026-03-28T22:59:59") == "2026-03-29T00:59:59");
  CHECK(utc_by_rule("<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "2026-03-29T00:00:00") == "2026-03-29T01:00:00");
  CHECK(utc_by_rule("AAA0BBB-2,J60/0,J300", "2024-02-29T23:59:59") == "2024-02-29T23:59:59");
  CHECK(utc_by_rule("AAA0BBB-2,J60/0,J300", "2024-03-01T02:00:00") == "2024-03-01T00:00:00");
  CHECK(utc_by_rule("AAA0BBB-2,J60/0,J300", "2025-03-01T02:00:00") == "2025-03-01T00:00:00");
  CHECK(utc_by_rule("AAA0BBB-2,59/0,300", "2024-02-29T02:00:00") == "2024-02-29T00:00:00");
  CHECK(utc_by_rule("AAA0BBB-2,59/0,300", "2025-02-28T23:59:59") == "2025-02-28T23:59:59");
  CHECK(utc_by_rule("XXX3EDT4,0/0,J365/23", "2026-01-01T00:00:00") == "2026-01-01T04:00:00");
  CHECK(utc_by_rule("XXX3EDT4,0/0,J365/23", "2026-12-31T23:59:59") == "2027-01-01T03:59:59");
}

TEST_CASE("Each part of a rule reaches its bounds and no farther") {
  for (const char* const rule : {"AZaz0", "zZA0", "<A0+>0", "AAA24", "AAA0:00:00", "AAA-24:59:59", "AAA+1", "AAA000"}) {
    CAPTURE(rule);
    CHECK(TimeZone::parse("zone", make_file(rule)));
  }
  for (const char* const date :
       {"M1.1.0", "M12.5.6", "M3.4.0", "J1", "J365", "0", "365", "0/167", "0/-167:59:59", "0/+1"}) {
    CAPTURE(date);
    CHECK(TimeZone::parse("zone", make_file("AAA0BBB," + std::string{date} + ",J100")));
    CHECK(TimeZone::parse("zone", make_file("AAA0BBB,J100," + std::string{date})));
  }
  for (const char* const rule :
       {"AA0", "<AA>0", "A@A0", "A[A0", "AAA25", "AAA-25", "AAA0:60", "AAA0:0:60", "AAA0000",
        "AAA0:", "AAA0:0:", "AAA-+1", "AAA+-1", "AAA0BB1,J1,J2", "AAA0BBB,J1J2", "AAA0BBB25,J1,J2"}) {
    CAPTURE(rule);
    CHECK_FALSE(TimeZone::parse("zone", make_file(rule)));
  }
  for (const char* const date :
       {"M0.1.0", "M13.1.0", "M1.0.0", "M1.6.0", "M1.1.7", "M1.1", "M1..1", "M.1.1",  "J0",       "J366",
        "366",    "0/168",   "0/-168", "0/",     "J",      "",     "K1",    "0/0:60", "0/0:0:60", "J0001"}) {
    CAPTURE(date);
    CHECK_FALSE(TimeZone::parse("zone", make_file("AAA0BBB," + std::string{date} + ",J100")));
    CHECK_FALSE(TimeZone::parse("zone", make_file("AAA0BBB,J100," + std::string{date})));
  }
}

TEST_CASE("Clocks change in the second that the rule names") {
  // South of the equator, where daylight saving time goes over the turn of the year.
  const char* const south = "AEST-10AEDT,M10.1.0,M4.1.0/3";
  CHECK(utc_by_rule(south, "2026-04-05T01:59:59") == "2026-04-04T14:59:59");
  CHECK(utc_by_rule(south, "2026-04-05T02:59:59") == "2026-04-04T15:59:59");
  CHECK(utc_by_rule(south, "2026-04-05T03:00:00") == "2026-04-04T17:00:00");
  CHECK(utc_by_rule(south, "2026-10-04T01:59:59") == "2026-10-03T15:59:59");
  CHECK(utc_by_rule(south, "2026-10-04T03:00:00") == "2026-10-03T16:00:00");
  CHECK(utc_by_rule("AAA-1:30:15", "2026-06-06T12:00:00") == "2026-06-06T10:29:45");
  CHECK(utc_by_rule("AAA+1:30:15", "2026-06-06T12:00:00") == "2026-06-06T13:30:15");
  // Without a time it is 02:00, and without an offset an hour more.
  CHECK(utc_by_rule("AAA0BBB,J100,J200", "2026-04-10T01:59:59") == "2026-04-10T01:59:59");
  CHECK(utc_by_rule("AAA0BBB,J100,J200", "2026-04-10T03:00:00") == "2026-04-10T02:00:00");
  CHECK(utc_by_rule("AAA0BBB,99/3,J200", "2026-04-10T02:59:59") == "2026-04-10T02:59:59");
  CHECK(utc_by_rule("AAA0BBB,99/3,J200", "2026-04-10T04:00:00") == "2026-04-10T03:00:00");
  CHECK(utc_by_rule("CET-1CEST,M3.5.0,M10.5.0/3", "2026-10-25T02:59:59") == "2026-10-25T00:59:59");
  CHECK(utc_by_rule("CET-1CEST,M3.5.0,M10.5.0/3", "2026-10-25T03:00:00") == "2026-10-25T02:00:00");
  // 28 February is day 59 of any year, and 1 March is J60.
  CHECK(utc_by_rule("AAA0BBB-2,J59/0,J300", "2024-02-28T02:00:00") == "2024-02-28T00:00:00");
  CHECK(utc_by_rule("AAA0BBB-2,M2.4.3/0,J300", "2026-02-25T02:00:00") == "2026-02-25T00:00:00");
}

TEST_CASE("The year of a change is that of the zone's clocks") {
  CHECK(utc_by_rule("AAA-12BBB-13,J1/0,J100", "2027-01-01T02:00:00") == "2026-12-31T13:00:00");
  CHECK(utc_by_rule("AAA12BBB11,J365/22,J100", "2026-12-31T23:30:00") == "2027-01-01T10:30:00");
}

TEST_CASE("Daylight saving time that ends when it begins never comes") {
  CHECK(utc_by_rule("AAA0BBB,J100/2,J100/3", "2026-04-10T12:00:00") == "2026-04-10T12:00:00");
  CHECK(utc_by_rule("AAA0BBB,J100/2,J100/3", "2026-12-10T12:00:00") == "2026-12-10T12:00:00");
}

TEST_CASE("Two changes may be two days apart") {
  CHECK(utc_by_rule("AAA12BBB11,J101/0,J103/2", "2026-04-13T01:30:00") == "2026-04-13T12:30:00");
  CHECK(utc_by_rule("AAA0BBB-1,J101/0,J103/2", "2026-04-11T12:00:00") == "2026-04-11T11:00:00");
}

TEST_CASE("What is no rule makes the file unreadable") {
  REQUIRE(TimeZone::parse("zone", make_file("CET-1CEST,M3.5.0,M10.5.0/3")));
  REQUIRE(TimeZone::parse("zone", make_file("")));
  for (const char* const rule :
       {"CET", "1", "CET-1CEST", "CET-1CEST,M3.5.0", "CET-1CEST,M3.5.0,M10.5.0/3,", "CET-25", "CET-1:60", "<CET-1",
        "CET-1CEST,M0.5.0,M10.5.0", "CET-1CEST,M13.5.0,M10.5.0", "CET-1CEST,M3.6.0,M10.5.0", "CET-1CEST,M3.5.7,M10.5.0",
        "CET-1CEST,J0,J365", "CET-1CEST,0,366", "CET-1CEST,0/168,1", "CET-1CEST,M3.5,M10.5.0", "CET-1 "}) {
    CAPTURE(rule);
    CHECK_FALSE(TimeZone::parse("zone", make_file(rule)));
  }
}

TEST_CASE("A name that is no zone is nothing") {
  for (const char* const name : {"", "Europe", "Europe/Berlim", "/etc/localtime", "../zoneinfo/Europe/Berlin",
                                 "zone.tab", "Europe//Berlin", "."}) {
    CAPTURE(name);
    CHECK_FALSE(TimeZone::load(name));
  }
}

TEST_CASE("A file that was cut or is of another kind is nothing") {
  std::ifstream file{std::string{kZoneinfo} + "/Europe/Berlin", std::ios::binary};
  const std::string whole{std::istreambuf_iterator<char>{file}, {}};
  REQUIRE(TimeZone::parse("zone", whole));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CAPTURE(size);
    CHECK_FALSE(TimeZone::parse("zone", whole.substr(0, size)));
  }
  CHECK_FALSE(TimeZone::parse("zone", make_file("UTC0", '\0')));
  std::string with_leap_second = make_file("UTC0");
  with_leap_second[90] = 1;  // their number in the second header, and one behind what that one counts before
  with_leap_second.insert(122, 12, '\0');
  CHECK_FALSE(TimeZone::parse("zone", with_leap_second));
  std::string wrong_footer = make_file("UTC0");
  wrong_footer[wrong_footer.size() - 6] = ' ';  // the LF in front of the rule
  CHECK_FALSE(TimeZone::parse("zone", wrong_footer));
  wrong_footer = make_file("UTC0");
  wrong_footer.back() = ' ';
  CHECK_FALSE(TimeZone::parse("zone", wrong_footer));
  std::string wrong_type = make_file("UTC0");
  wrong_type[wrong_type.size() - 6 - 4 - 6 - 1] = 1;
  CHECK_FALSE(TimeZone::parse("zone", wrong_type));
  for (const std::size_t magic : {std::size_t{0}, make_file("").rfind("TZif")}) {
    std::string wrong_magic = make_file("UTC0");
    wrong_magic[magic] = 'X';
    CHECK_FALSE(TimeZone::parse("zone", wrong_magic));
  }
}

// RFC 8536, section 3.1: UT and standard indicators, leap seconds, transitions, types, characters, in this order.
TEST_CASE("All that a file counts is skipped or read") {
  const auto header = [](char leap_seconds, char types) {
    std::string made = "TZif2" + std::string(15, '\0');
    for (const char count : {'\1', '\1', leap_seconds, '\1', types, '\4'}) made += "\0\0\0"s + count;
    return made;
  };
  const std::string from_2000 = "\x38\x6D\x43\x80"s;
  const std::string offset = "\0\0\x0E\x10\0\0"s;  // an hour
  const std::string rest = "\0\0"s;
  const std::string old = header(1, 1) + from_2000 + "\0"s + offset + "AAA\0"s + std::string(8, '\0') + rest;
  const auto with = [&](char leap_seconds, char types, std::string_view offsets) {
    return old + header(leap_seconds, types) + "\0\0\0\0"s + from_2000 + static_cast<char>(types - 1) +
           std::string{offsets} + "AAA\0"s + rest + "\n\n";
  };
  const auto zone = TimeZone::parse("zone", with(0, 2, std::string(6, '\0') + offset));
  REQUIRE(zone);
  CHECK(utc(*zone, "1999-12-31T23:59:59") == "1999-12-31T23:59:59");
  CHECK(utc(*zone, "2000-01-01T01:00:00") == "2000-01-01T00:00:00");
  CHECK_FALSE(TimeZone::parse("zone", with(0, 0, "")));
  std::string more_than_there_is = with(0, 1, offset);
  REQUIRE(TimeZone::parse("zone", more_than_there_is));
  more_than_there_is.replace(old.size() + 20 + 4 * 4, 4, "\xFF\xFF\xFF\xFF");
  CHECK_FALSE(TimeZone::parse("zone", more_than_there_is));
}

}  // namespace qatime::timezone_test
