// SPDX-License-Identifier: MIT
#include "ingest/parse/header.h"

#include <string>
#include <string_view>

#include "catch.h"

namespace qatime::ingest::header_test {
namespace {

using namespace std::string_literals;

const Time kNow = *parse_rfc3339("2026-02-01T00:00:00Z");

Header read(std::string_view message) {
  const Parsed<Header> header = parse_header(message, {{}, kNow});
  CAPTURE(message);
  REQUIRE(std::holds_alternative<Header>(header));
  return std::get<Header>(header);
}

Header read_in_tokyo(const std::string& message) {
  const auto zone = TimeZone::load("Asia/Tokyo");
  REQUIRE(zone);
  const Parsed<Header> header = parse_header(message, {*zone, kNow});
  CAPTURE(message);
  REQUIRE(std::holds_alternative<Header>(header));
  return std::get<Header>(header);
}

std::string refusal(std::string_view message) {
  const Parsed<Header> header = parse_header(message, {{}, kNow});
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
      Case{"<190>2026-01-27T14:12:23.9558Z a-b-1 qumulo BODY", HeaderForm::forward},
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
}

TEST_CASE("Every form has words") {
  CHECK(describe(HeaderForm::rfc5424) == "RFC 5424");
  CHECK(describe(HeaderForm::forward) == "rsyslog's forward format");
  CHECK(describe(HeaderForm::file) == "rsyslog's file format");
  CHECK(describe(HeaderForm::log_filter) == "LogFilter's format");
  CHECK(describe(HeaderForm::comma_joined) == "comma-joined template");
  CHECK(describe(HeaderForm::rfc3164) == "RFC 3164");
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
  const Header header = read_in_tokyo("Jan  1 08:00:00 q-1 qumulo BODY");
  CHECK(format_rfc3339(header.time) == "2025-12-31T23:00:00.000000000Z");
  CHECK(header.is_local);
}

TEST_CASE("A time without an offset is local in every form, and one with an offset is not") {
  struct Case {
    const char* before;
    const char* behind;
  };
  const auto [before, behind] = GENERATE(Case{"<14>1 ", " q-1 qumulo - - - BODY"}, Case{"<14>", " q-1 qumulo: BODY"},
                                         Case{"", " q-1 qumulo BODY"}, Case{"", " q-1 qumulo - - - BODY"},
                                         Case{"", ",q-1,qumulo BODY"}, Case{"", ",q-1,{}"}, Case{"", ",{}"},
                                         Case{"<14>Jan 28 19:53:40 localhost 1 ", " q-1 qumulo - - - BODY"});
  for (const char* const time : {"2026-01-27T08:00:00.25", "2026-01-27t08:00:00.25"}) {
    const Header local = read_in_tokyo(before + std::string{time} + behind);
    CHECK(local.is_local);
    CHECK(format_rfc3339(local.time) == "2026-01-26T23:00:00.250000000Z");
  }
  for (const char* const time : {"2026-01-27T08:00:00.25Z", "2026-01-27T08:00:00.25z", "2026-01-27T09:00:00.25+01:00",
                                 "2026-01-27T06:30:00.25-01:30"}) {
    const Header header = read_in_tokyo(before + std::string{time} + behind);
    CHECK_FALSE(header.is_local);
    CHECK(format_rfc3339(header.time) == "2026-01-27T08:00:00.250000000Z");
  }
}

TEST_CASE("A local time that no clock of NFSv3 shows is one, too") {
  for (const char* const time : {"1678-01-01T00:00:00", "2261-12-31T23:59:59", "9999-01-01T00:00:00"}) {
    const Parsed<Header> header = parse_header(time + " q-1 qumulo BODY"s, {*TimeZone::load("Asia/Tokyo"), kNow});
    CHECK(std::holds_alternative<Header>(header) == parse_rfc3339(time).has_value());
  }
}

const std::string kBody = R"(192.0.2.9,"u",nfs3,fs_read_data,ok,6,"/d/my doc","")";

TEST_CASE("The vendor's templates have no tag, and one has no host") {
  struct Case {
    std::string message;
    std::string host;
    std::string body;
  };
  const std::string time = GENERATE("2026-01-27T14:12:23.9558Z", "<14>2026-01-27T15:12:23.9558+01:00");
  const std::string v6 = "2001:db8::1,\"u\",nfs3,fs_read_data,ok,6,\"/f\",\"\"";
  const std::string repeated = "message repeated 2 times: [" + kBody + "]";
  const auto each = GENERATE_COPY(
      Case{time + ",a-b-1," + kBody, "a-b-1", kBody}, Case{time + ", a-b-1, " + kBody, "a-b-1", kBody},
      Case{time + "," + kBody, "", kBody}, Case{time + ", " + kBody, "", kBody}, Case{time + "," + v6, "", v6},
      Case{time + ",192.0.2.11," + kBody, "192.0.2.11", kBody}, Case{time + ",a-b-1,{\"a\": 1}", "a-b-1", "{\"a\": 1}"},
      Case{time + ",{\"a\": 1}", "", "{\"a\": 1}"}, Case{time + ",a-b-1," + repeated, "a-b-1", repeated},
      Case{time + ",qumulo: " + kBody, "", kBody}, Case{time + ",qumulo:  " + kBody, "", kBody},
      Case{time + ",a-b-1,qumulo[12]: " + kBody, "a-b-1", kBody});
  const Header header = read(each.message);
  CHECK(header.form == HeaderForm::comma_joined);
  CHECK(format_rfc3339(header.time) == "2026-01-27T14:12:23.955800000Z");
  CHECK(header.host == each.host);
  CHECK(header.body == each.body);
}

TEST_CASE("A joined header may have a traditional time") {
  for (const std::string& joined : {"Jan 27 14:12:23,a-b-1," + kBody, "<14>Jan 27 14:12:23,a-b-1,qumulo  " + kBody}) {
    const Header header = read(joined);
    CHECK(header.form == HeaderForm::comma_joined);
    CHECK(format_rfc3339(header.time) == "2026-01-27T14:12:23.000000000Z");
    CHECK(header.host == "a-b-1");
    CHECK(header.body == kBody);
  }
  CHECK(read("Jan  6 14:12:23," + kBody).host.empty());
}

TEST_CASE("A joined line of another program is no record") {
  CHECK(refusal("2026-01-27T14:12:23Z,a-b-1,192.0.2.9 logged in") == "tag");
  CHECK(refusal("2026-01-27T14:12:23Z,a-b-1,nobody,\"u\",nfs3") == "header");
  CHECK(refusal("2026-01-27T14:12:23Z,a-b-1,started") == "header");
  CHECK(refusal("2026-01-27T14:12:23Z,192.0.2.9,started") == "header");
  CHECK(refusal("2026-01-27T14:12:23Z,two words," + kBody) == "header");
  CHECK(refusal("2026-01-27,a-b-1," + kBody) == "time");
  CHECK(refusal("2026-01-27T14:12:23Z,a-b-1,1.2.3.4\0x,\"u\",nfs3"s) == "header");
}

TEST_CASE("A tag may have a process id in brackets") {
  for (const std::string begin :
       {"<14>1 2026-01-27T14:12:23.9558Z a-b-1 qumulo[4711] - - - ", "<13>2026-01-27T14:12:23.9558Z a-b-1 qumulo[-]: ",
        "2026-01-27T14:12:23.9558Z a-b-1 qumulo[4711]: ", "2026-01-27T14:12:23.9558Z a-b-1 qumulo[4711] - - - ",
        "2026-01-27T14:12:23.9558Z,a-b-1,qumulo[4711]  ",
        "2026-01-27T14:12:23.9558Z a-b-1 qumulo:", "2026-01-27T14:12:23.9558Z a-b-1 qumulo[4711]:"}) {
    const std::string message = begin + "BODY";
    const Header header = read(message);
    CHECK(header.host == "a-b-1");
    CHECK(header.body == "BODY");
  }
  CHECK(read("<13>Jan 27 14:12:23 a-b-1 qumulo[-]: BODY").body == "BODY");
  CHECK(refusal("2026-01-27T14:12:23Z host qumulo[47 BODY") == "tag");
  CHECK(refusal("2026-01-27T14:12:23Z host qumulo[47]s BODY") == "tag");
}

TEST_CASE("A record behind the header of a relay is read whole") {
  const std::string inner = "1 2026-01-27T14:12:23.9558Z a-b-1 qumulo - - - " + kBody;
  const std::string marked = "<14>" + inner;
  const std::string message = GENERATE_COPY(
      "<14>Jan 28 19:53:40 localhost " + inner, "<14>2026-01-28T19:53:40+00:00 localhost " + inner,
      "<14>1 2026-01-28T19:53:43+00:00 localhost 1 - - - " + inner.substr(2),
      "<13>Jan 28 19:53:40 localhost  " + marked, "<13>1 2026-01-28T19:53:40Z localhost - - - - " + marked,
      "<14>Jan 28 19:53:42 other <14>Jan 28 19:53:40 localhost " + inner);
  const Header header = read(message);
  CHECK(header.form == HeaderForm::rfc5424);
  CHECK(format_rfc3339(header.time) == "2026-01-27T14:12:23.955800000Z");
  CHECK(header.host == "a-b-1");
  CHECK(header.body == kBody);
}

TEST_CASE("Relays are looked through a few at a time") {
  std::string message = "<14>1 2026-01-27T14:12:23Z a-b-1 qumulo - - - BODY";
  for (int relays = 0; relays < 4; ++relays) message = "<14>Jan 28 19:53:40 relay " + message;
  CHECK(read(message).host == "a-b-1");
  CHECK(refusal("<14>Jan 28 19:53:40 relay " + message) == "tag");
  for (const std::string begin : {"2026-01-28T19:53:40Z relay 1 - - - ", "2026-01-28T19:53:40Z relay - - - - 1 "}) {
    std::string wrapped = "2026-01-27T14:12:23Z a-b-1 qumulo - - - BODY";
    for (int relays = 0; relays < 4; ++relays) wrapped = begin + wrapped;
    CHECK(read("<14>1 " + wrapped).host == "a-b-1");
    CHECK(refusal("<14>1 " + begin + wrapped) == "tag");
  }
  std::string deep;
  while (deep.size() < 256 << 10) deep += "<14>Jan 28 19:53:40 relay ";
  CHECK(refusal(deep) == "tag");
}

TEST_CASE("A record in the text of another program is none") {
  const std::string record = "<14>1 2026-01-27T14:12:23Z a-b-1 qumulo - - - BODY";
  CHECK(refusal("<13>Jan 28 19:53:40 host login: " + record) == "tag");
  CHECK(refusal("<13>2026-01-28T19:53:40Z host login: " + record) == "tag");
  CHECK(refusal("<13>1 2026-01-28T19:53:40Z host login 12 - - " + record) == "tag");
  CHECK(refusal("<13>1 2026-01-28T19:53:40Z host login 12 - - " + record.substr(6)) == "tag");
}

TEST_CASE("A blank behind the priority and a byte order mark in front are skipped") {
  const std::string message =
      GENERATE("<14> Jan 27 14:12:23 a-b-1 qumulo: BODY", "\xEF\xBB\xBF<14>Jan 27 14:12:23 a-b-1 qumulo BODY",
               "\xEF\xBB\xBFJan 27 14:12:23 a-b-1 qumulo BODY", "<14>  2026-01-27T14:12:23Z a-b-1 qumulo BODY",
               "<14> 1 2026-01-27T14:12:23Z a-b-1 qumulo - - - BODY");
  const Header header = read(message);
  CHECK(header.host == "a-b-1");
  CHECK(header.body == "BODY");
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
  CHECK(refusal("<a>2026-01-27T14:12:23Z host qumulo BODY") == "header");
  CHECK(refusal("<14") == "header");
  CHECK(refusal("Jan") == "header");
  CHECK(refusal("Jan 27") == "header");
  CHECK(refusal("<14>1 ") == "header");
  CHECK(refusal("<14>1 2026-01-27T14:12:23Z") == "header");
  CHECK(refusal("<14>1 2026-01-27T14:12:23Z host") == "header");
  CHECK(refusal("<14>1 2026-01-27T14:12:23Z host started") == "header");
  CHECK(refusal("<14>1 2026-01-27T14:12:23Z  qumulo - - - BODY") == "header");
  CHECK(refusal("<1a>2026-01-27T14:12:23Z host qumulo BODY") == "header");
  CHECK(refusal("<14>1 2026-01-27T14:12:23Z host qumulo BODY") == "header");
  CHECK(refusal("<14>1 2026-01-27T14:12:23Z host qumulo - BODY") == "header");
  CHECK(refusal("<14>1 2026-01-27T14:12:23Z host qumulo - -") == "header");
  CHECK(refusal("<14>1 2026-01-27T14:12:23Z host qumulo - - [x BODY") == "header");
  CHECK(refusal("<14>1 2026-01-27T14:12:23Z host qumulo - - BODY x") == "header");
  CHECK(refusal("<14>1 2026-01-27T14:12:23Z host qumulo - - x] BODY") == "header");
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
  CHECK(refusal("2026-01-27T14:12:23Z host [47]: BODY") == "tag");
  CHECK(refusal("2026-01-27T14:12:23Z host : BODY") == "tag");
  CHECK(refusal("2026-01-27T14:12:23Z host qumulo[: BODY") == "tag");
}

TEST_CASE("A time that is no time is malformed") {
  CHECK(refusal("<14>1 - host qumulo - - - BODY") == "time");
  CHECK(refusal("<14>1  host qumulo - - - BODY") == "time");
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
