// SPDX-License-Identifier: MIT
#include "ingest/policy.h"

#include <string>
#include <string_view>
#include <vector>

#include <fmt/core.h>

#include "base/address.h"
#include "base/timestamp.h"
#include "catch.h"
#include "ingest/cluster.h"

namespace qatime::ingest::policy_test {
namespace {

using namespace std::chrono_literals;

const Time kNow = *parse_rfc3339("2026-01-27T12:00:00Z");
const Time kTime = *parse_rfc3339("2026-01-27T11:59:59.5Z");

Record record(std::string_view operation, std::string_view path, std::string_view target = {}) {
  return {.client = "192.0.2.1",
          .user = "AD\\Alice",
          .written_user = "AD\\Alice",
          .protocol = "nfs3",
          .operation = operation,
          .status = "ok",
          .file_id = "7",
          .path = path,
          .target = target};
}

// The fate of a record, in one word or so.
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
  std::string host = "big-store-12";
  PolicyConfig config;
  Exports exports;
  SelfAddresses self;

  [[nodiscard]] Header header(Time time) const { return {HeaderForm::rfc5424, time, host, {}}; }

  [[nodiscard]] std::string decide(const Record& of, Time time = kTime) const {
    return text(Policy{config, exports, self}.decide(header(time), of, kNow));
  }
};

TEST_CASE_METHOD(Fixture, "Reads, writes and listings are accesses") {
  CHECK(decide(record("fs_read_data", "/a/b")) == "access /a/b");
  CHECK(decide(record("fs_write_data", "/a/b")) == "access /a/b");
  CHECK(decide(record("fs_list_directory", "/a/")) == "access /a");
  CHECK(decide(record("fs_list_directory", "/")) == "access /");
}

TEST_CASE_METHOD(Fixture, "An access carries the record's time") {
  const Decision decision = Policy{config, exports, self}.decide(header(kTime), record("fs_read_data", "/a"), kNow);
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
  self.set_current({*parse_address("192.0.2.1")}, kNow);
  CHECK(decide(record("fs_list_directory", "/a/")) == "ignored self");
  CHECK(decide(record("fs_read_data", "/a")) == "access /a");
  Record mapped = record("fs_list_directory", "/a/");
  mapped.client = "::ffff:192.0.2.1";
  CHECK(decide(mapped) == "ignored self");
  for (const char* const client : {"192.0.2.11", "host", ""}) {
    mapped.client = client;
    CHECK(decide(mapped) == "access /a");
  }
  mapped.client = "192.0.2.11";
  self.configure(std::vector<std::string>{"192.0.2.11"});
  CHECK(decide(mapped) == "ignored self");
}

TEST_CASE_METHOD(Fixture, "Listings from an address that was ours are ignored by the time of the record") {
  self.add_former(std::vector<OwnAddress>{{*parse_address("192.0.2.1"), kTime - 2h}}, kNow);
  CHECK(decide(record("fs_list_directory", "/a/")) == "access /a");
  CHECK(decide(record("fs_list_directory", "/a/"), kTime - 1h) == "ignored self");
}

TEST_CASE_METHOD(Fixture, "The future is ignored beyond the limit") {
  CHECK(decide(record("fs_read_data", "/a"), kNow + 5min) == "access /a");
  CHECK(decide(record("fs_read_data", "/a"), kNow + 5min + 1ns) == "ignored future");
  config.future_limit = 0s;
  CHECK(decide(record("fs_read_data", "/a"), kNow + 24h * 365 * 14) == "access /a");
  config.future_limit = std::chrono::nanoseconds::max();
  CHECK(decide(record("fs_read_data", "/a"), kNow + 24h * 365 * 14) == "access /a");
}

TEST_CASE_METHOD(Fixture, "Moves and removals meet the limits of time as accesses do") {
  for (const char* const operation : {"fs_rename", "fs_delete", "fs_tree_delete"}) {
    CAPTURE(operation);
    const Record of = record(operation, "/a", "/b");
    const std::string taken = decide(of);
    CHECK(decide(of, kNow + 5min) == taken);
    CHECK(decide(of, kNow + 5min + 1ns) == "ignored future");
    CHECK(decide(of, Time{} - 1ns) == "ignored range");
    CHECK(decide(of, Time::min()) == "ignored range");
    CHECK(decide(of, Time::max()) == "ignored range");
    config.future_limit = 0s;
    CHECK(decide(of, Time{}) == taken);
    CHECK(decide(of, *parse_rfc3339("2106-02-07T06:28:15.999999999Z")) == taken);
    CHECK(decide(of, *parse_rfc3339("2106-02-07T06:28:16Z")) == "ignored range");
    config.future_limit = 5min;
  }
}

TEST_CASE_METHOD(Fixture, "What is outside the period is ignored, accesses and changes of names") {
  const auto decide_in = [&](const Record& of, Time time) {
    const Period period{kTime - 10s, kTime};
    return text(Policy{config, exports, self, period}.decide(header(time), of, kNow));
  };
  for (const char* const operation : {"fs_read_data", "fs_rename", "fs_delete", "fs_tree_delete"}) {
    CAPTURE(operation);
    const Record of = record(operation, "/a", "/b");
    const std::string taken = decide(of);
    CHECK(decide_in(of, kTime - 10s - 1ns) == "ignored period");
    CHECK(decide_in(of, kTime - 10s) == taken);
    CHECK(decide_in(of, kTime - 1ns) == taken);
    CHECK(decide_in(of, kTime) == "ignored period");
    CHECK(decide_in(of, kNow + 1h) == "ignored period");
    CHECK(decide_in(of, Time{} - 1ns) == "ignored range");
  }
  CHECK(decide_in(record("fs_open", "/a"), kTime) == "ignored operation");
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

TEST_CASE_METHOD(Fixture, "Paths are included and excluded by whole components") {
  config.include_paths = {"/a", "/b/c"};
  config.exclude_paths = {"/a/x"};
  CHECK(decide(record("fs_list_directory", "/a/")) == "access /a");
  CHECK(decide(record("fs_read_data", "/b/c/d")) == "access /b/c/d");
  CHECK(decide(record("fs_read_data", "/ab")) == "ignored path");
  CHECK(decide(record("fs_list_directory", "/b/")) == "ignored path");
  CHECK(decide(record("fs_read_data", "/A/b")) == "ignored path");
  CHECK(decide(record("fs_list_directory", "/a/x/")) == "ignored path");
  CHECK(decide(record("fs_read_data", "/a/x/y")) == "ignored path");
  CHECK(decide(record("fs_read_data", "/a/xy")) == "access /a/xy");
  config.include_paths = {};
  CHECK(decide(record("fs_read_data", "/ab")) == "access /ab");
  CHECK(decide(record("fs_read_data", "/a/x/y")) == "ignored path");
}

TEST_CASE_METHOD(Fixture, "Users are included and excluded without case, as written and as decoded") {
  Record of = record("fs_read_data", "/a");
  config.include_users = {"bob", "ad\\ALICE"};
  CHECK(decide(of) == "access /a");
  of.user = of.written_user = "AD\\alic";
  CHECK(decide(of) == "ignored user");
  of.user = of.written_user = "";
  CHECK(decide(of) == "ignored user");
  config.include_users = {};
  config.exclude_users = {"AD\\Tom"};
  CHECK(decide(of) == "access /a");
  of.user = "AD\tom";
  of.written_user = R"(AD\tom)";
  CHECK(decide(of) == "ignored user");
  of.user = R"(ad\tom)";
  of.written_user = R"(ad\\tom)";
  CHECK(decide(of) == "ignored user");
}

TEST_CASE_METHOD(Fixture, "Names of users and clusters compare without case beyond ASCII") {
  Record of = record("fs_read_data", "/a");
  config.include_users = {"AD\\MÜLLER"};
  of.user = of.written_user = "AD\\müller";
  CHECK(decide(of) == "access /a");
  of.user = of.written_user = "ad\\mu\u0308ller";
  CHECK(decide(of) == "access /a");
  of.user = of.written_user = "AD\\muller";
  CHECK(decide(of) == "ignored user");
  config.include_users = {};
  config.exclude_users = {"иван"};
  of.user = of.written_user = "ИВАН";
  CHECK(decide(of) == "ignored user");
  config.exclude_users = {};
  config.clusters = {"Köln"};
  host = "KÖLN-1.example";
  CHECK(decide(of) == "access /a");
  host = "KOLN-1.example";
  CHECK(decide(of) == "ignored cluster");
}

TEST_CASE_METHOD(Fixture, "Letters have a case from the first to the last, and other characters have none") {
  Record of = record("fs_read_data", "/a");
  config.include_users = {"az@["};
  of.user = of.written_user = "AZ@[";
  CHECK(decide(of) == "access /a");
  of.user = of.written_user = "az`{";
  CHECK(decide(of) == "ignored user");
}

TEST_CASE_METHOD(Fixture, "Clients are included and excluded by network") {
  Record of = record("fs_read_data", "/a");
  config.include_clients = {*parse_network("192.0.2.0/24"), *parse_network("2001:db8::/32")};
  config.exclude_clients = {*parse_network("192.0.2.128/25"), *parse_network("2001:db8::1")};
  for (const char* const client : {"192.0.2.1", "192.0.2.127", "::ffff:192.0.2.1", "2001:db8::2"}) {
    of.client = client;
    CAPTURE(client);
    CHECK(decide(of) == "access /a");
  }
  for (const char* const client :
       {"192.0.3.1", "192.0.2.128", "::ffff:192.0.2.200", "2001:db8::1", "2001:db9::2", ""}) {
    of.client = client;
    CAPTURE(client);
    CHECK(decide(of) == "ignored client");
  }
  config.include_clients = {};
  CHECK(decide(of) == "access /a");
}

TEST_CASE_METHOD(Fixture, "Protocols are included and excluded without case") {
  Record of = record("fs_read_data", "/a");
  config.include_protocols = {"NFS3", "smb2"};
  CHECK(decide(of) == "access /a");
  of.protocol = "nfs";
  CHECK(decide(of) == "ignored protocol");
  config.include_protocols = {};
  CHECK(decide(of) == "access /a");
  config.exclude_protocols = {"Nfs"};
  CHECK(decide(of) == "ignored protocol");
}

TEST_CASE_METHOD(Fixture, "A host is a cluster and, behind the last hyphen, a node") {
  config.clusters = {"small", "big-store"};
  CHECK(decide(record("fs_read_data", "/a")) == "access /a");
  for (const char* const name : {"small-1", "small", "big-store-1", "Small-1", "small-1.my-corp.example",
                                 "BIG-store-1.example", "small.my-corp"}) {
    host = name;
    CHECK(decide(record("fs_read_data", "/a")) == "access /a");
  }
  for (const char* const name :
       {"big-1", "big-store", "other-big-store-1", "other.small-1", "192.0.2.11", "2001:db8::1", ""}) {
    host = name;
    CAPTURE(host);
    CHECK(decide(record("fs_read_data", "/a")) == "ignored cluster");
  }
}

TEST_CASE("An address is no name of a node") {
  for (const char* const address : {"0.0.0.1", "9.0.0.1", "192.0.2.11", "2001:db8::1", "fe80::1", "::1"}) {
    CAPTURE(address);
    CHECK(is_host_address(address));
    CHECK(cluster_of(address).empty());
  }
  for (const char* const name : {"3par-1", "0-1", "9-1", "store-1", "fe80-1", "store:1", "/-1", ""}) {
    CAPTURE(name);
    CHECK_FALSE(is_host_address(name));
    CHECK(cluster_of(name) == std::string_view{name}.substr(0, std::string_view{name}.rfind('-')));
  }
}

TEST_CASE_METHOD(Fixture, "Names of another cluster move without us") {
  config.clusters = {"small"};
  CHECK(decide(record("fs_rename", "/a", "/b")) == "ignored cluster");
  CHECK(decide(record("fs_delete", "/a")) == "ignored cluster");
  CHECK(decide(record("fs_tree_delete", "/a")) == "ignored cluster");
}

TEST_CASE_METHOD(Fixture, "The filter that decided is told") {
  const auto reason = [&] {
    const Record of = record("fs_read_data", "/a");
    return describe(std::get<Ignored>(Policy{config, exports, self}.decide(header(kTime), of, kNow)));
  };
  config.exclude_protocols = {"nfs3"};
  CHECK(reason() == "policy.exclude_protocols has its protocol");
  config.include_protocols = {"smb2"};
  CHECK(reason() == "policy.include_protocols does not have its protocol");
  config.exclude_clients = {*parse_network("192.0.2.1")};
  CHECK(reason() == "its client is in one of policy.exclude_clients");
  config.include_clients = {*parse_network("192.0.2.2")};
  CHECK(reason() == "its client is in none of policy.include_clients");
  config.exclude_users = {"AD\\alice"};
  CHECK(reason() == "policy.exclude_users has its user");
  config.include_users = {"alice"};
  CHECK(reason() == "policy.include_users does not have its user");
  config.exclude_paths = {"/"};
  CHECK(reason() == "its path is below one of policy.exclude_paths");
  config.include_paths = {"/b"};
  CHECK(reason() == "its path is below none of policy.include_paths");
  config.clusters = {"small"};
  CHECK(reason() == "policy.clusters does not have its cluster");
}

TEST_CASE_METHOD(Fixture, "A network of IPv6 has no client of IPv4") {
  Record of = record("fs_read_data", "/a");
  config.include_clients = {*parse_network("::/0")};
  CHECK(decide(of) == "ignored client");
  of.client = "::ffff:192.0.2.1";
  CHECK(decide(of) == "ignored client");
  of.client = "2001:db8::1";
  CHECK(decide(of) == "access /a");
  config.include_clients = {};
  config.exclude_clients = {*parse_network("::/0")};
  CHECK(decide(of) == "ignored client");
  of.client = "192.0.2.1";
  CHECK(decide(of) == "access /a");
}

TEST_CASE_METHOD(Fixture, "Moves and removals pass every filter of accesses") {
  config.operations = {"fs_rename"};
  config.include_paths = {"/in"};
  config.exclude_paths = {"/a"};
  config.include_users = {"bob"};
  config.exclude_users = {"AD\\alice"};
  config.include_clients = {*parse_network("192.0.2.2")};
  config.exclude_clients = {*parse_network("192.0.2.1")};
  config.include_protocols = {"smb2"};
  config.exclude_protocols = {"nfs3"};
  self.set_current({*parse_address("192.0.2.1")}, kNow);
  CHECK(decide(record("fs_rename", "/a", "/b")) == "move /a to /b");
  CHECK(decide(record("fs_delete", "/.snapshot/a")) == "removal /.snapshot/a");
}

TEST_CASE_METHOD(Fixture, "What cannot be renamed is malformed, a rename to itself is a move") {
  CHECK(decide(record("fs_rename", "/a", "/a/b")) == "malformed path");
  CHECK(decide(record("fs_rename", "/a/b", "/a")) == "move /a/b to /a");
  CHECK(decide(record("fs_rename", "/a", "/a/")) == "move /a to /a");
}

TEST_CASE_METHOD(Fixture, "The root is neither moved, nor replaced, nor removed") {
  CHECK(decide(record("fs_rename", "/", "/b")) == "ignored protected");
  CHECK(decide(record("fs_rename", "/a", "/")) == "ignored protected");
  CHECK(decide(record("fs_rename", "/", "/")) == "ignored protected");
  CHECK(decide(record("fs_delete", "/")) == "ignored protected");
  CHECK(decide(record("fs_tree_delete", "/")) == "ignored protected");
}

struct TwoExports : Fixture {
  TwoExports() { exports = Exports{{"/in", "/other"}}; }
};

TEST_CASE_METHOD(TwoExports, "An access below no export is ignored") {
  CHECK(decide(record("fs_read_data", "/in/a")) == "access /in/a");
  CHECK(decide(record("fs_list_directory", "/in/")) == "access /in");
  CHECK(decide(record("fs_read_data", "/inside")) == "ignored export");
  CHECK(decide(record("fs_list_directory", "/")) == "ignored export");
}

TEST_CASE_METHOD(TwoExports, "A move over the border is a removal on our side of it") {
  CHECK(decide(record("fs_rename", "/in/a", "/other/b")) == "move /in/a to /other/b");
  CHECK(decide(record("fs_rename", "/in/a", "/out/b")) == "removal /in/a and below");
  CHECK(decide(record("fs_rename", "/out/a", "/in/b")) == "removal /in/b and below");
  CHECK(decide(record("fs_rename", "/out/a", "/out/b")) == "ignored export");
  CHECK(decide(record("fs_delete", "/out/a")) == "ignored export");
}

TEST_CASE_METHOD(Fixture, "An export, and what holds one, is neither moved, nor replaced, nor removed") {
  exports = Exports{{"/top/in", "/other"}};
  for (const char* const path : {"/", "/top", "/top/", "/top/in", "/top/in/", "/other"}) {
    CAPTURE(path);
    CHECK(decide(record("fs_delete", path)) == "ignored protected");
    CHECK(decide(record("fs_tree_delete", path)) == "ignored protected");
    CHECK(decide(record("fs_rename", path, path)) == "ignored protected");
    CHECK(decide(record("fs_rename", "/else", path)) == "ignored protected");
    CHECK(decide(record("fs_rename", "/other/x", path)) == "ignored protected");
  }
  CHECK(decide(record("fs_rename", "/top", "/else")) == "ignored protected");
  CHECK(decide(record("fs_rename", "/top/in", "/other/x")) == "ignored protected");
  CHECK(decide(record("fs_rename", "/top", "/other/top")) == "ignored protected");
  CHECK(decide(record("fs_rename", "/other", "/top/in/x")) == "ignored protected");
  CHECK(decide(record("fs_tree_delete", "/to")) == "ignored export");
  CHECK(decide(record("fs_tree_delete", "/top/inside")) == "ignored export");
  CHECK(decide(record("fs_tree_delete", "/top/in/x")) == "removal /top/in/x and below");
  CHECK(decide(record("fs_rename", "/other/x", "/top/in/x")) == "move /other/x to /top/in/x");
}

TEST_CASE_METHOD(Fixture, "An export within another is as protected") {
  exports = Exports{{"/", "/data/projects"}};
  CHECK(decide(record("fs_tree_delete", "/data")) == "ignored protected");
  CHECK(decide(record("fs_rename", "/data/projects", "/old")) == "ignored protected");
  CHECK(decide(record("fs_rename", "/new", "/data/projects")) == "ignored protected");
  CHECK(decide(record("fs_tree_delete", "/data/projects/x")) == "removal /data/projects/x and below");
  CHECK(decide(record("fs_tree_delete", "/data/other")) == "removal /data/other and below");
}

}  // namespace
}  // namespace qatime::ingest::policy_test
