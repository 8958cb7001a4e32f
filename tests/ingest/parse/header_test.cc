// SPDX-License-Identifier: MIT
#include "ingest/parse/header.h"

#include <string>
#include <string_view>

#include "catch.h"

namespace qatime::ingest::header_test {
namespace {

const Time kNow = *parse_rfc3339("2026-02-01T00:00:00Z");

Header read(std::string_view message) {
  const Parsed<Header> header = parse_header(message, TimeZone{}, kNow);
  CAPTURE(message);
  REQUIRE(std::holds_alternative<Header>(header));
  return std::get<Header>(header);
}

std::string refusal(std::string_view message) {
  const Parsed<Header> header = parse_header(message, TimeZone{}, kNow);
  const auto* const reason = std::get_if<Malformed>(&header);
  return std::string{reason == nullptr ? "none" : name(*reason)};
}

TEST_CASE("Every form gives its time, host and body") {
  struct Case {
    std::string_view message;
    HeaderForm form;
  };
  const auto [message, form] = GENERATE(
      Case{"<14>1 2026-01-27T14:12:23.9558Z a-b-1 qumulo - - - BODY", HeaderForm::rfc5424},
      Case{"<14>1 2026-01-27T14:12:23.9558Z a-b-1 qumulo 12 ID - BODY", HeaderForm::rfc5424},
      Case{"<14>1 2026-01-27T14:12:23.9558Z a-b-1 qumulo: - - - BODY", HeaderForm::rfc5424},
      Case{"<14>1 2026-01-27T14:12:23.9558Z a-b-1 qumulo - - - \xEF\xBB\xBF"
           "BODY",
           HeaderForm::rfc5424},
      Case{R"(<14>1 2026-01-27T14:12:23.9558Z a-b-1 qumulo - - [x@1 a="] \" b"][y@1 c="d"] BODY)", HeaderForm::rfc5424},
      Case{"<155>2026-01-27T14:12:23.9558Z a-b-1 qumulo BODY", HeaderForm::forward},
      Case{"<0>2026-01-27T14:12:23.9558Z a-b-1 qumulo: BODY", HeaderForm::forward},
      Case{"2026-01-27T14:12:23.9558Z a-b-1 qumulo BODY", HeaderForm::file},
      Case{"2026-01-27T14:12:23.9558 a-b-1 qumulo:  BODY", HeaderForm::file},
      Case{"2026-01-27T15:12:23.9558+01:00 a-b-1 qumulo BODY", HeaderForm::file},
      Case{"2026-01-27T14:12:23.9558Z a-b-1 qumulo - - - BODY", HeaderForm::log_filter},
      Case{"<14>2026-01-27T14:12:23.9558Z a-b-1 qumulo - - - BODY", HeaderForm::log_filter},
      Case{"2026-01-27T14:12:23.9558Z,a-b-1,qumulo  BODY", HeaderForm::comma_joined},
      Case{"<14>2026-01-27T14:12:23.9558Z,a-b-1,qumulo: BODY", HeaderForm::comma_joined});
  const Header header = read(message);
  CHECK(header.form == form);
  CHECK(format_rfc3339(header.time) == "2026-01-27T14:12:23.955800000Z");
  CHECK(header.host == "a-b-1");
  CHECK(header.body == "BODY");
  CHECK_FALSE(describe(form).empty());
}

TEST_CASE("The traditional header has no year and no fraction") {
  const std::string_view message =
      GENERATE("Jan 27 14:12:23 a-b-1 qumulo BODY", "<14>Jan 27 14:12:23 a-b-1 qumulo: BODY",
               "<14>Jan 27 14:12:23 a-b-1 qumulo BODY", "Jan 27 14:12:23 a-b-1 qumulo:  BODY",
               "Jan 27 14:12:23 a-b-1 qumulo - - - BODY",
               "Jan 27 14:12:23 a-b-1 qumulo \xEF\xBB\xBF"
               "BODY");
  const Header header = read(message);
  CHECK(header.form == HeaderForm::rfc3164);
  CHECK(format_rfc3339(header.time) == "2026-01-27T14:12:23.000000000Z");
  CHECK(header.host == "a-b-1");
  CHECK(header.body == "BODY");
  CHECK(describe(header.form) == "RFC 3164");
}

TEST_CASE("A traditional day may be padded, or not") {
  for (const char* const day : {"6", " 6", "06"}) {
    const std::string message = "Jan " + std::string{day} + " 14:12:23 q-1 qumulo BODY";
    const Header header = read(message);
    CHECK(format_rfc3339(header.time) == "2026-01-06T14:12:23.000000000Z");
    CHECK(header.host == "q-1");
  }
}

TEST_CASE("A traditional time is local") {
  const auto zone = TimeZone::load("Asia/Tokyo");
  REQUIRE(zone);
  const Parsed<Header> header = parse_header("Jan  1 08:00:00 q-1 qumulo BODY", *zone, kNow);
  CHECK(format_rfc3339(std::get<Header>(header).time) == "2025-12-31T23:00:00.000000000Z");
}

TEST_CASE("Bytes that are no header are malformed by reason") {
  CHECK(refusal("Jan 27 14:12:23") == "header");
  CHECK(refusal("Jan 27 14:12:23 host") == "header");
  CHECK(refusal("Jan 27 14:12:23  qumulo BODY") == "header");
  CHECK(refusal("Foo 27 14:12:23 host cron: BODY") == "header");
  CHECK(refusal("Jan 27 14:12:23 qumulo BODY") == "header");
  CHECK(refusal("") == "header");
  CHECK(refusal("<14>") == "header");
  CHECK(refusal("hello") == "header");
  CHECK(refusal("hello world, how are you") == "header");
  CHECK(refusal("<1444>2026-01-27T14:12:23Z host qumulo BODY") == "header");
  CHECK(refusal("<>2026-01-27T14:12:23Z host qumulo BODY") == "header");
  CHECK(refusal("<1a>2026-01-27T14:12:23Z host qumulo BODY") == "header");
  CHECK(refusal("<14>1 2026-01-27T14:12:23Z host qumulo - -") == "header");
  CHECK(refusal("<14>1 2026-01-27T14:12:23Z host qumulo - - [x BODY") == "header");
  CHECK(refusal("<14>1 2026-01-27T14:12:23Z host qumulo - - BODY x") == "header");
  CHECK(refusal("2026-01-27T14:12:23Z  qumulo BODY") == "header");
  CHECK(refusal("2026-01-27T14:12:23Z,qumulo BODY") == "header");
  CHECK(refusal("2026-01-27T14:12:23Z,,qumulo BODY") == "header");
}

TEST_CASE("Other programs are told by their tag") {
  CHECK(refusal("<46>1 2026-01-27T14:12:23Z host rsyslogd - - - start") == "tag");
  CHECK(refusal("<46>2026-01-27T14:12:23Z host rsyslogd: start") == "tag");
  CHECK(refusal("2026-01-27T14:12:23Z,host,cron  start") == "tag");
  CHECK(refusal("<46>Jan 27 14:12:23 host rsyslogd: start") == "tag");
  CHECK(refusal("2026-01-27T14:12:23Z host qumulos BODY") == "tag");
}

TEST_CASE("A time that is no time is malformed") {
  CHECK(refusal("<14>1 - host qumulo - - - BODY") == "time");
  CHECK(refusal("<14>1 2026-02-30T14:12:23Z host qumulo - - - BODY") == "time");
  CHECK(refusal("<14>yesterday host qumulo BODY") == "time");
  CHECK(refusal("2026-01-27T25:12:23Z host qumulo BODY") == "time");
  CHECK(refusal("Jan 32 14:12:23 host qumulo BODY") == "time");
  CHECK(refusal("Jan 27 24:12:23 host qumulo BODY") == "time");
  CHECK(refusal("Foo 27 14:12:23 host qumulo BODY") == "time");
  CHECK(refusal("2026-01-27T14:12:23.1234567890Z,host,qumulo  BODY") == "time");
}

}  // namespace
}  // namespace qatime::ingest::header_test
