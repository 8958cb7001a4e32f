// SPDX-License-Identifier: MIT
#include "ingest/policy.h"

#include <string>
#include <string_view>

#include <boost/asio/ip/address.hpp>
#include <fmt/core.h>

#include "catch.h"
#include "timestamp.h"

namespace qatime::ingest {
namespace {

using namespace std::chrono_literals;

const Time kNow = *parse_rfc3339("2026-01-27T12:00:00Z");
const Time kTime = *parse_rfc3339("2026-01-27T11:59:59.5Z");

Record record(std::string_view operation, std::string_view path, std::string_view target = {}) {
  return {"192.0.2.1", "alice", "nfs3", operation, "ok", "7", path, target};
}

// What becomes of a record, in one word or so.
std::string text(const Decision& decision) {
  if (const auto* const reason = std::get_if<Ignored>(&decision)) return fmt::format("ignored {}", name(*reason));
  if (const auto* const reason = std::get_if<Malformed>(&decision)) return fmt::format("malformed {}", name(*reason));
  const Event& event = std::get<Event>(decision);
  if (const auto* const access = std::get_if<Access>(&event)) return fmt::format("access {}", access->path);
  if (const auto* const move = std::get_if<Move>(&event)) return fmt::format("move {} to {}", move->path, move->target);
  const auto& removal = std::get<Removal>(event);
  return fmt::format("removal {}{}", removal.path, removal.subtree ? " and below" : "");
}

struct Fixture {
  PolicyConfig config;
  Lanes lanes;
  SelfAddresses self;

  [[nodiscard]] std::string decide(const Record& of, Time time = kTime) const {
    return text(Policy{config, lanes, self}.decide(of, time, kNow));
  }
};

TEST_CASE_METHOD(Fixture, "Reads, writes and listings are accesses") {
  CHECK(decide(record("fs_read_data", "/a/b")) == "access /a/b");
  CHECK(decide(record("fs_write_data", "/a/b")) == "access /a/b");
  CHECK(decide(record("fs_list_directory", "/a/")) == "access /a");
  CHECK(decide(record("fs_list_directory", "/")) == "access /");
}

TEST_CASE_METHOD(Fixture, "An access carries the record's time") {
  const Decision decision = Policy{config, lanes, self}.decide(record("fs_read_data", "/a"), kTime, kNow);
  CHECK(std::get<Access>(std::get<Event>(decision)).time == kTime);
}

TEST_CASE_METHOD(Fixture, "Other operations are ignored, whatever their path") {
  CHECK(decide(record("fs_read_metadata", "/a")) == "ignored operation");
  CHECK(decide(record("rest_login", "")) == "ignored operation");
  CHECK(decide(record("smb_connect", "\\\\host\\share")) == "ignored operation");
  CHECK(decide(record("", "/a")) == "ignored operation");
  config.operations = {"fs_open"};
  CHECK(decide(record("fs_open", "/a")) == "access /a");
  CHECK(decide(record("fs_read_data", "/a")) == "ignored operation");
}

TEST_CASE_METHOD(Fixture, "What failed is ignored") {
  Record failed = record(GENERATE("fs_read_data", "fs_rename", "fs_delete", "fs_tree_delete"), "/a", "/b");
  failed.status = GENERATE("fs_no_such_entry_error", "", "OK", "okay");
  CHECK(decide(failed) == "ignored status");
}

TEST_CASE_METHOD(Fixture, "A path that is not normal is malformed") {
  for (const char* const path : {"", "a", "//", "/a//b", "/a/../b", "/./a", "/..", "/a//"}) {
    CAPTURE(path);
    CHECK(decide(record("fs_read_data", path)) == "malformed path");
    CHECK(decide(record("fs_delete", path)) == "malformed path");
    CHECK(decide(record("fs_rename", path, "/b")) == "malformed path");
    CHECK(decide(record("fs_rename", "/b", path)) == "malformed path");
  }
  CHECK(decide(record("fs_read_data", "/" + std::string(255, 'x'))) == "access /" + std::string(255, 'x'));
  CHECK(decide(record("fs_read_data", "/" + std::string(256, 'x'))) == "malformed path");
}

TEST_CASE_METHOD(Fixture, "A snapshot is nobody's access, wherever it is") {
  CHECK(decide(record("fs_read_data", "/.snapshot/1_x/a")) == "ignored snapshot");
  CHECK(decide(record("fs_read_data", "/a/.snapshot/b")) == "ignored snapshot");
  CHECK(decide(record("fs_list_directory", "/a/.snapshot/")) == "ignored snapshot");
  CHECK(decide(record("fs_read_data", "/a/.snapshots/b.snapshot")) == "access /a/.snapshots/b.snapshot");
}

TEST_CASE_METHOD(Fixture, "Our own listings are ignored, and nothing else of ours") {
  self.set({boost::asio::ip::make_address("192.0.2.1")});
  CHECK(decide(record("fs_list_directory", "/a/")) == "ignored self");
  CHECK(decide(record("fs_read_data", "/a")) == "access /a");
  Record mapped = record("fs_list_directory", "/a/");
  mapped.client = "::ffff:192.0.2.1";
  CHECK(decide(mapped) == "ignored self");
  mapped.client = "192.0.2.11";
  CHECK(decide(mapped) == "access /a");
  config.self = {"192.0.2.11"};
  CHECK(decide(mapped) == "ignored self");
}

TEST_CASE_METHOD(Fixture, "The future is ignored beyond the limit") {
  CHECK(decide(record("fs_read_data", "/a"), kNow + 24h) == "access /a");
  CHECK(decide(record("fs_read_data", "/a"), kNow + 24h + 1ns) == "ignored future");
  config.future_limit = 0s;
  CHECK(decide(record("fs_read_data", "/a"), kNow + 24h * 365 * 14) == "access /a");
  config.future_limit = std::chrono::nanoseconds::max();
  CHECK(decide(record("fs_read_data", "/a"), kNow + 24h * 365 * 14) == "access /a");
}

TEST_CASE_METHOD(Fixture, "What NFSv3 cannot hold is ignored") {
  config.future_limit = 0s;
  CHECK(decide(record("fs_read_data", "/a"), Time{}) == "access /a");
  CHECK(decide(record("fs_read_data", "/a"), Time{} - 1ns) == "ignored range");
  CHECK(decide(record("fs_read_data", "/a"), *parse_rfc3339("2106-02-07T06:28:15.999999999Z")) == "access /a");
  CHECK(decide(record("fs_read_data", "/a"), *parse_rfc3339("2106-02-07T06:28:16Z")) == "ignored range");
}

TEST_CASE_METHOD(Fixture, "Renames and deletes move and remove") {
  CHECK(decide(record("fs_rename", "/a", "/b/c")) == "move /a to /b/c");
  CHECK(decide(record("fs_rename", "/a/", "/b/")) == "move /a to /b");
  CHECK(decide(record("fs_delete", "/a/")) == "removal /a");
  CHECK(decide(record("fs_tree_delete", "/a/")) == "removal /a and below");
}

TEST_CASE_METHOD(Fixture, "Moves and removals pass every filter of accesses") {
  config.operations = {"fs_rename"};
  self.set({boost::asio::ip::make_address("192.0.2.1")});
  CHECK(decide(record("fs_rename", "/a", "/b"), kNow + 24h * 365) == "move /a to /b");
  CHECK(decide(record("fs_delete", "/.snapshot/a"), Time{} - 1h) == "removal /.snapshot/a");
}

TEST_CASE_METHOD(Fixture, "What cannot be renamed is malformed, a rename to itself is nothing") {
  CHECK(decide(record("fs_rename", "/", "/b")) == "malformed path");
  CHECK(decide(record("fs_rename", "/a", "/")) == "malformed path");
  CHECK(decide(record("fs_rename", "/a", "/a/b")) == "malformed path");
  CHECK(decide(record("fs_rename", "/a/b", "/a")) == "move /a/b to /a");
  CHECK(decide(record("fs_rename", "/a", "/a/")) == "ignored operation");
}

struct Exports : Fixture {
  Exports() { lanes = Lanes{{"/in", "/other"}}; }
};

TEST_CASE_METHOD(Exports, "An access below no export is ignored") {
  CHECK(decide(record("fs_read_data", "/in/a")) == "access /in/a");
  CHECK(decide(record("fs_list_directory", "/in/")) == "access /in");
  CHECK(decide(record("fs_read_data", "/inside")) == "ignored export");
  CHECK(decide(record("fs_list_directory", "/")) == "ignored export");
}

TEST_CASE_METHOD(Exports, "A move over the border is a removal on our side of it") {
  CHECK(decide(record("fs_rename", "/in/a", "/other/b")) == "move /in/a to /other/b");
  CHECK(decide(record("fs_rename", "/in/a", "/out/b")) == "removal /in/a and below");
  CHECK(decide(record("fs_rename", "/out/a", "/in/b")) == "removal /in/b and below");
  CHECK(decide(record("fs_rename", "/out/a", "/out/b")) == "ignored export");
  CHECK(decide(record("fs_delete", "/out/a")) == "ignored export");
}

}  // namespace
}  // namespace qatime::ingest
