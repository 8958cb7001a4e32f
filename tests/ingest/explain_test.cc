// SPDX-License-Identifier: MIT
#include "ingest/explain.h"

#include <string>
#include <string_view>

#include "catch.h"

namespace qatime::ingest::explain_test {
namespace {

Explanation explain_body(const std::string& body) {
  return explain("2026-01-27T14:12:23Z q-1 qumulo " + body, {}, *parse_rfc3339("2026-01-28T00:00:00Z"));
}

std::string field(const Explanation& explanation, std::string_view name) {
  for (const Explanation::ReadField& one : explanation.fields) {
    if (one.name == name) return one.value;
  }
  return "none";
}

TEST_CASE("A line is explained field by field") {
  const Explanation line = explain_body(R"(192.0.2.1,"AD\alice",nfs3,fs_read_data,ok,7,"/a""b/","")"
                                        "\r\n");
  CHECK(field(line, "form") == "rsyslog's file format");
  CHECK(field(line, "time") == "2026-01-27T14:12:23.000000000Z");
  CHECK(field(line, "host") == "q-1");
  CHECK(field(line, "client") == "192.0.2.1");
  CHECK(field(line, "user") == "AD\\alice");
  CHECK(field(line, "protocol") == "nfs3");
  CHECK(field(line, "operation") == "fs_read_data");
  CHECK(field(line, "status") == "ok");
  CHECK(field(line, "file_id") == "7");
  CHECK(field(line, "path") == "/a\"b/");
  CHECK(field(line, "target").empty());
  CHECK(line.outcome == "accepted");
  CHECK(line.reason.empty());
  CHECK(line.why == "The object's atime becomes this time unless it is newer already.");
}

TEST_CASE("A line is explained with the addresses of policy.self") {
  Config config;
  config.policy.self = {"192.0.2.1"};
  const auto outcome = [&](const std::string& client) {
    const std::string body = R"(,"u",nfs3,fs_list_directory,ok,7,"/a/","")";
    const std::string line = "2026-01-27T14:12:23Z q-1 qumulo " + client + body;
    return std::string{explain(line, config, *parse_rfc3339("2026-01-28T00:00:00Z")).reason};
  };
  CHECK(outcome("192.0.2.1") == "self");
  CHECK(outcome("192.0.2.2").empty());
}

TEST_CASE("A line is explained with the limit and the framing of a connection") {
  const std::string line = R"(2026-01-27T14:12:23Z q-1 qumulo ::1,"u",nfs3,fs_read_data,ok,7,"/a","")";
  const Time now = *parse_rfc3339("2026-01-28T00:00:00Z");
  Config config;
  const auto outcome = [&](const std::string& text) {
    const Explanation explanation = explain(text, config, now);
    return std::string{explanation.outcome} + " " + std::string{explanation.reason};
  };
  CHECK(outcome(line) == "accepted ");
  CHECK(outcome(line + "\n") == "accepted ");
  CHECK(outcome(std::to_string(line.size()) + " " + line) == "accepted ");
  CHECK(outcome(std::to_string(line.size() + 1) + " " + line) == "malformed framing");
  CHECK(outcome("PROXY UNKNOWN\r\n" + line) == "malformed proxy");
  CHECK(outcome("") == "malformed header");
  config.syslog.max_message = line.size();
  CHECK(outcome(line) == "accepted ");
  config.syslog.max_message = line.size() - 1;
  CHECK(outcome(line) == "malformed too_long");
  CHECK(outcome(std::string(1 << 20, 'x')) == "malformed too_long");
}

TEST_CASE("Moves and removals are explained") {
  const auto move = explain_body(R"(::1,"u",nfs3,fs_rename,ok,7,"/a","/b")");
  CHECK(move.outcome == "move");
  CHECK(move.why == "Pending accesses follow what is moved to its new name.");
  const auto onto_itself = explain_body(R"(::1,"u",nfs3,fs_rename,ok,7,"/a/","/a")");
  CHECK(onto_itself.outcome == "move");
  CHECK(onto_itself.why == "Both names are the same: nothing changes.");
  const auto removal = explain_body(R"(::1,"u",nfs3,fs_delete,ok,7,"/a","")");
  CHECK(removal.outcome == "removal");
  CHECK(removal.why == "Pending accesses of what is gone are cancelled.");
}

TEST_CASE("An ignored line has the reason that it is counted under, and words for it") {
  const Explanation line = explain_body(R"(::1,"u",nfs3,fs_open,ok,7,"/a","")");
  CHECK(line.outcome == "ignored");
  CHECK(line.reason == "operation");
  CHECK(line.why == "It is ignored because policy.operations does not have its operation.");
}

TEST_CASE("A move or removal that is not carried out is explained") {
  const Explanation root = explain_body(R"(::1,"u",nfs3,fs_tree_delete,ok,7,"/","")");
  CHECK(root.outcome == "ignored");
  CHECK(root.reason == "protected");
  CHECK(root.why == "It is ignored because it would move, replace or remove an export, or what holds one.");
  const Explanation future = explain(R"(2026-03-27T14:12:23Z q-1 qumulo ::1,"u",nfs3,fs_rename,ok,7,"/a","/b")", {},
                                     *parse_rfc3339("2026-01-28T00:00:00Z"));
  CHECK(future.outcome == "ignored");
  CHECK(future.reason == "future");
}

TEST_CASE("A line is explained by the configuration that is asked about") {
  Config config;
  config.syslog.rfc3164_timezone = TimeZone::load("Asia/Tokyo").value();
  config.policy.exclude_users = {"ad\\tom"};
  const Explanation line = explain(
      R"(Jan  6 12:00:00 q-1 qumulo {"user_id":{"name":"AD\tom"},"operation":"fs_read_data","status":"ok","details":{"path":"/a"}})",
      config, *parse_rfc3339("2026-01-28T00:00:00Z"));
  CHECK(field(line, "form") == "RFC 3164");
  CHECK(field(line, "time") == "2026-01-06T03:00:00.000000000Z");
  CHECK(line.reason == "user");
  CHECK(line.why == "It is ignored because policy.exclude_users has its user.");
}

TEST_CASE("A malformed line is explained as far as it was readable") {
  const Explanation no_header = explain("hello", {}, now());
  CHECK(no_header.outcome == "malformed");
  CHECK(no_header.reason == "header");
  CHECK(no_header.fields.empty());
  const Explanation no_record = explain_body("hello");
  CHECK(no_record.reason == "fields");
  CHECK(field(no_record, "host") == "q-1");
  CHECK(field(no_record, "path") == "none");
  const Explanation no_path = explain_body(R"(::1,"u",nfs3,fs_read_data,ok,7,"a","")");
  CHECK(no_path.outcome == "malformed");
  CHECK(no_path.reason == "path");
  CHECK(field(no_path, "path") == "a");
}

}  // namespace
}  // namespace qatime::ingest::explain_test
