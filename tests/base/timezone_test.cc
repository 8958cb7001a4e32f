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

// A zone of one offset and a rule from the first instant of 1970 on.
std::string make_file(std::string_view rule, char version = '2') {
  using namespace std::string_literals;
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
}

}  // namespace qatime::timezone_test
