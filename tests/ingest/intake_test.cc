// SPDX-License-Identifier: MIT
#include "ingest/intake.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <memory_resource>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/core.h>

#include "base/timestamp.h"
#include "catch.h"
#include "log_lines.h"

namespace qatime::ingest::intake_test {
namespace {

using namespace std::chrono;
using namespace std::string_literals;

const std::string kHeader = "<14>1 2026-01-27T14:12:23.9558Z q-1 qumulo - - - ";

std::string record(std::string_view operation, std::string_view path, std::string_view target = {}) {
  return fmt::format(R"({}192.0.2.1,"alice",nfs3,{},ok,7,"{}","{}")", kHeader, operation, path, target);
}

// An intake, and what it hands over.
struct Fixture {
  std::int64_t count(std::string_view name, std::string_view label = {}) {
    std::int64_t found = -1;
    metrics.visit([&](const metrics::Registry::Sample& sample) {
      const bool is_wanted = label.empty() || sample.label.value == label;
      if (sample.name == name && is_wanted) found = std::max<std::int64_t>(found, 0) + sample.value;
    });
    return found;
  }

  // The events of one read of these messages, in words.
  std::vector<std::string> take(const std::vector<std::string>& messages) {
    handed_over.clear();
    intake.begin(Transport::tcp, 1000);
    for (const std::string& message : messages) intake.message(message);
    intake.flush();
    return handed_over;
  }

  void keep(Events events) {
    ++batches;
    for (const Event& event : events) {
      if (const auto* const access = std::get_if<Access>(&event)) {
        handed_over.push_back(fmt::format("{} {}", access->path, format_rfc3339(access->time)));
      } else if (const auto* const move = std::get_if<Move>(&event)) {
        handed_over.push_back(fmt::format("{} to {}", move->path, move->target));
      } else {
        handed_over.push_back(fmt::format("{} gone", std::get<Removal>(event).path));
      }
    }
  }

  static PolicyConfig make_config() {
    PolicyConfig config;
    config.operations = {"fs_read_data"};
    config.future_limit = {};
    return config;
  }

  PolicyConfig config = make_config();
  Exports exports;
  SelfAddresses self;
  Policy policy{config, exports, self};
  metrics::Registry metrics;
  std::vector<std::string> handed_over;
  int batches = 0;
  Intake intake{policy, {}, metrics, [this](Events events) { keep(events); }};
};

TEST_CASE_METHOD(Fixture, "A read becomes one batch of events in their order") {
  CHECK(take({record("fs_read_data", "/a"), record("fs_rename", "/a", "/b"), record("fs_open", "/b"),
              record("fs_delete", "/b")}) ==
        std::vector<std::string>{"/a 2026-01-27T14:12:23.955800000Z", "/a to /b", "/b gone"});
  CHECK(batches == 1);
  CHECK(take({record("fs_open", "/b")}).empty());
  CHECK(batches == 1);
}

TEST_CASE_METHOD(Fixture, "The record of the Python qatime is understood to the byte") {
  CHECK(take({R"(<155>2040-01-01T21:41:55.861195Z qumulo-1 qumulo 192.168.240.1,"admin",smb2,fs_read_data,ok,6,)"
              R"("/test_qatime/testfile","")"
              "\0"s}) == std::vector<std::string>{"/test_qatime/testfile 2040-01-01T21:41:55.861195000Z"});
}

TEST_CASE_METHOD(Fixture, "Unescaped paths live until they are handed over") {
  std::vector<std::string> messages;
  std::vector<std::string> expected;
  for (int i = 0; i < 2000; ++i) {
    messages.push_back(record("fs_delete", fmt::format(R"(/a""{})", i)));
    expected.push_back(fmt::format(R"(/a"{} gone)", i));
  }
  CHECK(take(messages) == expected);
  CHECK(take(messages) == expected);
}

TEST_CASE_METHOD(Fixture, "Odd names come through") {
  std::string deep;
  for (int i = 0; i < 30; ++i) deep += "/level";
  for (const std::string& name : {"/a,b"s, "/a b"s, "/a\tb"s, "/a\\b"s, "/a#012b"s, "/%41"s, "/*"s, "/-rf"s,
                                  "/" + std::string(255, 'x'), deep, "/\xC3\xA4"s, "/\xE4"s}) {
    CAPTURE(name);
    CHECK(take({record("fs_delete", name)}) == std::vector{name + " gone"});
  }
  CHECK(take({record("fs_delete", "/directory/")}) == std::vector{"/directory gone"s});
  CHECK(take({record("fs_delete", R"(/a""b)")}) == std::vector{R"(/a"b gone)"s});
}

TEST_CASE_METHOD(Fixture, "Every counter is there from the start") {
  for (const char* const reason :
       {"header", "tag", "time", "body", "fields", "quote", "path", "too_long", "framing", "memory", "proxy"}) {
    CHECK(count("qatime_malformed_total", reason) == 0);
  }
  for (const char* const reason : {"allow", "operation", "status", "cluster", "snapshot", "path", "user", "client",
                                   "protocol", "self", "range", "period", "future", "export"}) {
    CHECK(count("qatime_ignored_total", reason) == 0);
  }
  for (const char* const name :
       {"qatime_moves_total", "qatime_removals_total", "qatime_accepted_total", "qatime_other_cluster_records_total"}) {
    CHECK(count(name) == 0);
  }
  CHECK(count("qatime_received_messages_total", "tcp") == 0);
  CHECK(count("qatime_received_bytes_total", "udp") == 0);
}

TEST_CASE_METHOD(Fixture, "Messages and bytes are counted by transport") {
  intake.begin(Transport::udp, 100);
  intake.message("a");
  intake.begin(Transport::tcp, 50);
  intake.message("a");
  intake.reject(Malformed::too_long);
  intake.reject(Ignored::sender);
  CHECK(count("qatime_received_messages_total", "udp") == 1);
  CHECK(count("qatime_received_messages_total", "tcp") == 3);
  CHECK(count("qatime_malformed_total", "too_long") == 1);
  CHECK(count("qatime_ignored_total", "allow") == 1);
  CHECK(count("qatime_received_bytes_total", "udp") == 100);
  CHECK(count("qatime_received_bytes_total", "tcp") == 50);
}

TEST_CASE_METHOD(Fixture, "A time without a year is one of when the message was written") {
  const std::string message = R"(Jun  6 14:52:28 q-1 qumulo 192.0.2.1,"alice",nfs3,fs_read_data,ok,7,"/a","")";
  handed_over.clear();
  intake.begin(Transport::tcp, 0, parse_rfc3339("2019-06-06T20:00:00Z"));
  intake.message(message);
  intake.flush();
  CHECK(handed_over == std::vector{"/a 2019-06-06T14:52:28.000000000Z"s});
  CHECK(take({message}) != std::vector{"/a 2019-06-06T14:52:28.000000000Z"s});
}

// The decisions of an intake with the usual limit, and its log.
struct Limited : Fixture {
  const PolicyConfig usual;
  const Policy limiting{usual, exports, self};

  Limited() { intake.reconfigure(limiting, {}); }

  // Of one that reads `path`, at `time` as the header has it.
  static std::string at(std::string_view time, std::string_view host, std::string_view operation = "fs_read_data") {
    return fmt::format(R"({} {} qumulo 192.0.2.1,"u",nfs3,{},ok,7,"/a","/b")", time, host, operation);
  }

  static std::string traditional(Time time) {
    const year_month_day date{floor<days>(time)};
    const hh_mm_ss clock{floor<seconds>(time) - floor<days>(time)};
    constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";
    return fmt::format("{} {:2} {:02}:{:02}:{:02}", kMonths.substr((static_cast<unsigned>(date.month()) - 1) * 3, 3),
                       static_cast<unsigned>(date.day()), clock.hours().count(), clock.minutes().count(),
                       clock.seconds().count());
  }
};

TEST_CASE("A time ahead is ignored, and a line names the node, by how much, and what to set") {
  struct Case {
    std::string time;
    const char* ahead;
    const char* advice;
  };
  // A little more, because time passes until it is read.
  const Time now = qatime::now() + 10s;
  const auto each = GENERATE_COPY(
      Case{Limited::traditional(now + 9h), "by 9 h 0 min", "it names no zone: set syslog.rfc3164_timezone"},
      Case{Limited::traditional(now + 14h), "by 14 h 0 min", "syslog.rfc3164_timezone"},
      Case{format_rfc3339(now + 5h + 45min).substr(0, 26), "by 5 h 45 min", "syslog.rfc3164_timezone"},
      Case{format_rfc3339(now + 5h + 45min), "by 5 h 45 min", "set the clock of the node, or of this host"},
      Case{format_rfc3339(now + 6min), "by 6 min", "set the clock of the node"},
      Case{format_rfc3339(now + 49h), "by 2 days", "set the clock of the node"});
  const char* const operation = GENERATE("fs_read_data", "fs_rename", "fs_delete");
  Limited f;
  const std::string message = Limited::at(each.time, "store-1", operation);
  CAPTURE(message);
  const std::string lines = said(log::Format::text, [&] { CHECK(f.take({message, message}).empty()); });
  CAPTURE(lines);
  CHECK(std::ranges::count(lines, '\n') == 1);
  for (const char* const part : {"node store-1", each.ahead, each.advice}) {
    CAPTURE(part);
    CHECK(lines.find(part) != std::string::npos);
  }
  CHECK(f.count("qatime_ignored_total", "future") == 2);
  const auto alerts = f.metrics.alerts().active();
  REQUIRE(alerts.size() == 1);
  CHECK(alerts[0].reason == "future");
  CHECK(alerts[0].effect == Alerts::Effect::degraded);
  CHECK(alerts[0].text.find("node store-1") != std::string::npos);
}

TEST_CASE("A time that is little ahead is taken, whatever form it has") {
  Limited f;
  const Time soon = floor<seconds>(qatime::now()) + 4min;
  const std::string wanted = "/a " + format_rfc3339(soon);
  for (const std::string& time :
       {Limited::traditional(soon), format_rfc3339(soon), format_rfc3339(soon).substr(0, 19)}) {
    CHECK(said(log::Format::text, [&] { CHECK(f.take({Limited::at(time, "q-1")}) == std::vector{wanted}); }).empty());
  }
  CHECK(f.metrics.alerts().active().empty());
}

TEST_CASE("Without a limit a time ahead is taken") {
  Fixture f;
  const Time ahead = floor<seconds>(qatime::now()) + 9h;
  CHECK(f.take({Limited::at(Limited::traditional(ahead), "q-1")}) == std::vector{"/a " + format_rfc3339(ahead)});
}

TEST_CASE("In a recorded log a time without a zone is ahead of when that was written, and others of now") {
  Limited f;
  const Time written = *parse_rfc3339("2019-06-06T20:00:00Z");
  const auto take = [&](std::string_view time) {
    f.handed_over.clear();
    const std::string message = Limited::at(time, "q-1");
    f.intake.begin(Transport::tcp, 0, written);
    f.intake.message(message);
    f.intake.flush();
    return f.handed_over.empty() ? "nothing" : f.handed_over.front();
  };
  CHECK(take("Jun  6 20:05:00") == "/a 2019-06-06T20:05:00.000000000Z");
  CHECK(take("Jun  6 20:05:01") == "nothing");
  CHECK(take("Jun  7 05:00:00") == "nothing");
  CHECK(take("2019-06-07T05:00:00") == "nothing");
  CHECK(f.count("qatime_ignored_total", "future") == 3);
  CHECK(take("2019-06-07T05:00:00Z") == "/a 2019-06-07T05:00:00.000000000Z");
}

TEST_CASE("How much a time is ahead is said in units that suit it") {
  struct Case {
    const char* time;
    const char* ahead;
  };
  const auto each = GENERATE(Case{"2019-06-06T20:00:01", "1 s"}, Case{"2019-06-06T20:01:59", "119 s"},
                             Case{"2019-06-06T20:02:00", "2 min"}, Case{"2019-06-06T20:59:29", "59 min"},
                             Case{"2019-06-06T20:59:31", "1 h 0 min"}, Case{"2019-06-06T21:45:00", "1 h 45 min"},
                             Case{"2019-06-08T19:59:00", "47 h 59 min"}, Case{"2019-06-08T20:00:00", "2 days"},
                             Case{"2019-06-09T19:00:00", "2 days"}, Case{"2019-06-09T20:00:00", "3 days"});
  Fixture f;
  PolicyConfig config;
  config.future_limit = 1ns;
  const Policy policy{config, f.exports, f.self};
  f.intake.reconfigure(policy, {});
  const std::string message = fmt::format(R"({},192.0.2.1,"u",nfs3,fs_read_data,ok,7,"/a","")", each.time);
  const std::string lines = said(log::Format::text, [&] {
    f.intake.begin(Transport::tcp, 0, parse_rfc3339("2019-06-06T20:00:00Z"));
    f.intake.message(message);
  });
  CAPTURE(lines);
  CHECK(lines.find(fmt::format("of node unknown, by {}: ", each.ahead)) != std::string::npos);
  REQUIRE(f.metrics.alerts().active().size() == 1);
  CHECK(f.metrics.alerts().active().front().text.find(fmt::format("of node unknown, {} ahead: ", each.ahead)) !=
        std::string::npos);
}

TEST_CASE("The alert on times ahead outlasts records whose times are right") {
  Limited f;
  const std::string ahead = Limited::at(format_rfc3339(qatime::now() + 1h), "q-1");
  const std::string right = Limited::at(format_rfc3339(qatime::now()), "q-1");
  CHECK(f.take({ahead, right}).size() == 1);
  CHECK(f.metrics.alerts().active().size() == 1);
}

TEST_CASE("A log that was written later than now is read by now") {
  Limited f;
  const Time now = qatime::now();
  const std::string message = Limited::at(Limited::traditional(now + 9h), "q-1");
  f.intake.begin(Transport::tcp, 0, now + 240h);
  f.intake.message(message);
  CHECK(f.count("qatime_ignored_total", "future") == 1);
}

TEST_CASE_METHOD(Fixture, "A message says whether it was a record") {
  const std::string access = record("fs_read_data", "/a");
  const std::string other = record("fs_open", "");
  const std::string no_path = record("fs_read_data", "a");
  intake.begin(Transport::tcp, 0);
  CHECK(intake.message(access));
  CHECK(intake.message(other));
  CHECK_FALSE(intake.message("hello"));
  CHECK_FALSE(intake.message(no_path));
  intake.flush();
}

TEST_CASE("The user of a JSON body is filtered as written, valid escapes or not") {
  PolicyConfig config;
  config.exclude_users = {"AD\\tom", "AD\\bob", "AD\\alice"};
  const Exports exports;
  const SelfAddresses self;
  const Policy policy{config, exports, self};
  metrics::Registry metrics;
  Intake intake{policy, {}, metrics, [](Events) { FAIL("none of them passes"); }};
  intake.begin(Transport::tcp, 0);
  for (const char* const user : {R"(AD\tom)", R"(ad\bob)", R"(AD\Alice)", R"(AD\\tom)"}) {
    const std::string message = fmt::format(
        R"({}{{"user_id":{{"name":"{}"}},"operation":"fs_read_data","status":"ok","details":{{"path":"/a"}}}})",
        kHeader, user);
    CHECK(intake.message(message));
  }
  intake.flush();
  CHECK(metrics.sum("qatime_ignored_total") == 4);
}

TEST_CASE_METHOD(Fixture, "Records of a second cluster are counted while nobody said which are ours") {
  const auto of = [](std::string_view host) {
    return fmt::format(R"(2026-01-27T14:12:23Z {} qumulo ::1,"u",nfs3,fs_open,ok,7,"/a","")", host);
  };
  const auto said_of = [&](const std::vector<std::string>& messages) {
    return said(log::Format::text, [&] { take(messages); });
  };
  CHECK(said_of({of("a-b-1"), of("a-b-22"), of("a-b-1")}).empty());
  CHECK(count("qatime_other_cluster_records_total") == 0);
  const std::string lines = said_of({of("a-1"), of("a-b-1"), of("a-b-c-1"), of("c-1")});
  CHECK(lines.find("records of a second cluster, a, come in besides those of a-b") != std::string::npos);
  CHECK(std::ranges::count(lines, '\n') == 1);
  CHECK(count("qatime_other_cluster_records_total") == 3);
}

TEST_CASE_METHOD(Fixture, "A cluster's name in another case or normal form is no second cluster") {
  std::vector<std::string> messages;
  for (const char* const host : {"köln-1", "KÖLN-2", "ko\u0308ln-3", "koln-1"}) {
    messages.push_back(fmt::format(R"(2026-01-27T14:12:23Z {} qumulo ::1,"u",nfs3,fs_open,ok,7,"/a","")", host));
  }
  take(messages);
  CHECK(count("qatime_other_cluster_records_total") == 1);
}

TEST_CASE_METHOD(Fixture, "Overlong names of hosts take no time to compare") {
  std::vector<std::string> messages;
  for (const auto& [first, second] : {std::pair{"\u0301", "\u0323"}, std::pair{"\u0323", "\u0301"}}) {
    std::string host = "a";
    for (int i = 0; i < 1 << 18; ++i) host += first;
    for (int i = 0; i < 1 << 18; ++i) host += second;
    messages.push_back(fmt::format(R"(2026-01-27T14:12:23Z {}-1 qumulo ::1,"u",nfs3,fs_open,ok,7,"/a","")", host));
  }
  take(messages);
  CHECK(count("qatime_other_cluster_records_total") == 1);
}

TEST_CASE_METHOD(Fixture, "A node is of the same cluster with and without its domain, and an address is of none") {
  std::vector<std::string> messages;
  for (const char* const host : {"store-1", "store-2.my-corp.example", "STORE-3", "192.0.2.11", "2001:db8::1"}) {
    messages.push_back(fmt::format(
        R"(<14>1 2026-01-27T14:12:23.9558Z {} qumulo - - - 192.0.2.1,"u",nfs3,fs_read_data,ok,7,"/a","")", host));
  }
  messages.push_back(R"(2026-01-27T14:12:23.9558Z,192.0.2.1,"u",nfs3,fs_read_data,ok,7,"/a","")");
  CHECK(take(messages).size() == 6);
  CHECK(count("qatime_other_cluster_records_total") == 0);
  std::vector<std::string> names;
  for (const Node* const node : metrics.nodes().all()) names.push_back(node->name());
  CHECK(names == std::vector<std::string>{"store-1", "store-2.my-corp.example", "STORE-3", "192.0.2.11", "2001:db8::1",
                                          "unknown"});
}

TEST_CASE("Where none of policy.clusters come, a line says why") {
  struct Case {
    const char* host;
    const char* advice;
  };
  const auto each =
      GENERATE(Case{"other-1", "name the cluster in policy.clusters"}, Case{"192.0.2.11", "keep-hostname(yes)"},
               Case{"", "have the relay send the name of the host"});
  Fixture f;
  f.config.clusters = {"store"};
  const Policy policy{f.config, f.exports, f.self};
  f.intake.reconfigure(policy, {});
  const auto record_of = [](std::string_view host) {
    const std::string header = host.empty() ? "," : fmt::format(" {} qumulo ", host);
    return fmt::format(R"(2026-01-27T14:12:23.9558Z{}192.0.2.1,"u",nfs3,fs_read_data,ok,7,"/a","")", header);
  };
  CHECK(said(log::Format::text, [&] { f.take({record_of("store-1"), record_of(each.host)}); }).empty());
  Fixture left_out;
  left_out.intake.reconfigure(policy, {});
  CHECK(said(log::Format::text, [&] {
          left_out.take({"2026-01-27T14:12:23Z store-1 qumulo ::1,\"u\",nfs3,fs_read_data,ok,7,\"/.snapshot/a\",\"\"",
                         record_of(each.host)});
        }).empty());
  Fixture alone;
  alone.intake.reconfigure(policy, {});
  const std::string lines = said(log::Format::text, [&] { alone.take({record_of(each.host), record_of(each.host)}); });
  CHECK(std::ranges::count(lines, '\n') == 1);
  CHECK(lines.find(each.host) != std::string::npos);
  CHECK(lines.find(each.advice) != std::string::npos);
}

TEST_CASE_METHOD(Fixture, "Every message ends in exactly one counter") {
  struct Kind {
    std::string message;
    std::string metric;
    std::string reason;
  };
  const std::vector<Kind> kinds{
      {record("fs_read_data", "/a"), "qatime_accepted_total", ""},
      {record("fs_rename", "/a", "/b"), "qatime_moves_total", ""},
      {record("fs_delete", "/a"), "qatime_removals_total", ""},
      {record("fs_tree_delete", "/a"), "qatime_removals_total", ""},
      {record("fs_open", "/a"), "qatime_ignored_total", "operation"},
      {record("rest_login", ""), "qatime_ignored_total", "operation"},
      {kHeader + R"(::1,"u",nfs3,fs_read_data,denied,7,"/a","")", "qatime_ignored_total", "status"},
      {record("fs_read_data", "/.snapshot/a"), "qatime_ignored_total", "snapshot"},
      {R"(1969-01-01T00:00:00Z q-1 qumulo ::1,"u",nfs3,fs_read_data,ok,7,"/a","")", "qatime_ignored_total", "range"},
      {"hello", "qatime_malformed_total", "header"},
      {"Jun 6 14:52:28 q-1 qumulo " + record("fs_read_data", "/a").substr(kHeader.size()), "qatime_accepted_total", ""},
      {"<46>1 2026-01-27T14:12:23Z q-1 rsyslogd - - - x", "qatime_malformed_total", "tag"},
      {"<14>1 2026-13-27T14:12:23Z q-1 qumulo - - - x", "qatime_malformed_total", "time"},
      {kHeader + R"({"operation": "fs_read_data", "status": "ok", "details": {"path": "/a"}})", "qatime_accepted_total",
       ""},
      {kHeader + R"({"operation": "fs_delete", "status": "ok", "details": {"path": "/a\b"}})", "qatime_removals_total",
       ""},
      {kHeader + R"({"user_ip": "::1"})", "qatime_malformed_total", "fields"},
      {kHeader + R"({"user_ip": "::1")", "qatime_malformed_total", "body"},
      {kHeader + R"(::1,"u",nfs3,fs_read_data,ok,7,"/a")", "qatime_malformed_total", "fields"},
      {kHeader + R"(::1,"u",nfs3,fs_read_data,ok,7,"/a","","")", "qatime_malformed_total", "fields"},
      {kHeader + R"(::1,"u",nfs3,fs_read_data,ok,7,"/a",")", "qatime_malformed_total", "quote"},
      {record("fs_read_data", "/a/../b"), "qatime_malformed_total", "path"},
      {record("fs_read_data", "/a//b"), "qatime_malformed_total", "path"},
  };
  constexpr int kMessages = 50'000;
  std::minstd_rand random{7};
  std::map<std::pair<std::string, std::string>, int> expected;
  for (int i = 0; i < kMessages; ++i) {
    const Kind& kind = kinds[random() % kinds.size()];
    ++expected[{kind.metric, kind.reason}];
    if (i % 100 == 0) intake.begin(Transport::tcp, 1);
    intake.message(kind.message);
    if (i % 100 == 99) intake.flush();
  }
  for (const auto& [key, times] : expected) {
    CAPTURE(key);
    CHECK(count(key.first, key.second) == times);
  }
  CHECK(count("qatime_received_messages_total", "tcp") == kMessages);
  CHECK(metrics.sum("qatime_malformed_total") + metrics.sum("qatime_ignored_total") +
            metrics.sum("qatime_moves_total") + metrics.sum("qatime_removals_total") +
            metrics.sum("qatime_accepted_total") ==
        kMessages);
  CHECK(handed_over.size() == static_cast<std::size_t>(count("qatime_accepted_total") + count("qatime_moves_total") +
                                                       count("qatime_removals_total")));
}

TEST_CASE_METHOD(Fixture, "Records are counted by the node that wrote them, with their newest time") {
  const auto of = [](int second, std::string_view rest) {
    return fmt::format("2026-01-27T14:12:{:02}Z q-1 qumulo ::1,\"u\",nfs3,{}", second, rest);
  };
  const Time before = now();
  CHECK(metrics.nodes().all().empty());
  take({of(3, R"(fs_read_data,ok,7,"/a","")"), of(7, R"(fs_rename,ok,7,"/a","/b")"), of(5, R"(fs_delete,ok,7,"/a","")"),
        of(1, R"(fs_open,ok,7,"/a","")"), of(2, "x"), "hello",
        R"(2026-01-27T14:12:23Z,::1,"u",nfs3,fs_open,ok,7,"/a","")"});
  const auto all = metrics.nodes().all();
  REQUIRE(all.size() == 2);
  for (const RecordOutcome outcome : {RecordOutcome::accepted, RecordOutcome::move, RecordOutcome::removal,
                                      RecordOutcome::ignored, RecordOutcome::malformed}) {
    CAPTURE(static_cast<int>(outcome));
    CHECK(all[0]->records(outcome) == 1);
    CHECK(all[1]->records(outcome) == (outcome == RecordOutcome::ignored ? 1 : 0));
  }
  CHECK(all[0]->newest() == parse_rfc3339("2026-01-27T14:12:07Z"));
  CHECK(all[0]->seen() >= before);
  CHECK(all[1]->name() == "unknown");
}

TEST_CASE_METHOD(Fixture, "What is malformed is told and kept for the page, with its bytes where there are some") {
  const std::string lines = said(log::Format::text, [&] {
    take({"hello", "hello again"});
    intake.reject(Malformed::too_long);
  });
  CHECK(
      lines.find("malformed messages (header): it begins with none of the known syslog headers; the last is hello\n") !=
      std::string::npos);
  CHECK(lines.find("malformed messages (too_long): it is longer than syslog.max_message\n") != std::string::npos);
  CHECK(std::ranges::count(lines, '\n') == 2);
  const auto failures = metrics.alerts().failures();
  REQUIRE(failures.size() == 1);
  CHECK(failures.front().subject == "hello");
  CHECK(failures.front().reason == "malformed: it begins with none of the known syslog headers");
}

// Counts the bytes that are allocated and not freed.
class CountingMemory final : public std::pmr::memory_resource {
 public:
  [[nodiscard]] std::size_t held() const noexcept { return held_; }

 private:
  void* do_allocate(std::size_t bytes, std::size_t alignment) override {
    held_ += bytes;
    return std::pmr::new_delete_resource()->allocate(bytes, alignment);
  }
  void do_deallocate(void* memory, std::size_t bytes, std::size_t alignment) override {
    held_ -= bytes;
    std::pmr::new_delete_resource()->deallocate(memory, bytes, alignment);
  }
  [[nodiscard]] bool do_is_equal(const memory_resource& other) const noexcept override { return this == &other; }

  std::size_t held_ = 0;
};

TEST_CASE("Unescaped paths hold memory until they are handed over, and no longer") {
  CountingMemory memory;
  auto* const before = std::pmr::set_default_resource(&memory);
  {
    Fixture f;
    f.intake.begin(Transport::tcp, 0);
    const std::string message = record("fs_delete", R"(/a"")" + std::string(250, 'x'));
    for (int i = 0; i < 1000; ++i) f.intake.message(message);
    CHECK(memory.held() > 200'000);
    f.intake.flush();
    CHECK(memory.held() == 0);
  }
  std::pmr::set_default_resource(before);
}

TEST_CASE_METHOD(Fixture, "Another policy holds from the next read on") {
  CHECK(take({record("fs_read_data", "/a"), record("fs_write_data", "/b")}).size() == 1);
  PolicyConfig other = config;
  other.operations = {"fs_write_data"};
  const Policy next{other, exports, self};
  intake.reconfigure(next, *TimeZone::load("UTC"));
  CHECK(take({record("fs_read_data", "/a"), record("fs_write_data", "/b")}) ==
        std::vector<std::string>{"/b 2026-01-27T14:12:23.955800000Z"});
  CHECK(metrics.sum("qatime_accepted_total") == 2);
  CHECK(metrics.sum("qatime_ignored_total") == 2);
}

TEST_CASE_METHOD(Fixture, "Another time zone holds from the next read on") {
  const auto of_noon = [&] {
    handed_over.clear();
    intake.begin(Transport::tcp, 0, parse_rfc3339("2026-06-06T20:00:00Z"));
    intake.message(R"(Jun  6 12:00:00 q-1 qumulo ::1,"u",nfs3,fs_read_data,ok,7,"/a","")");
    intake.flush();
    return handed_over;
  };
  CHECK(of_noon() == std::vector{"/a 2026-06-06T12:00:00.000000000Z"s});
  intake.reconfigure(policy, *TimeZone::load("Asia/Tokyo"));
  CHECK(of_noon() == std::vector{"/a 2026-06-06T03:00:00.000000000Z"s});
}

}  // namespace
}  // namespace qatime::ingest::intake_test
