// SPDX-License-Identifier: MIT
#include "atime/probe.h"

#include <algorithm>
#include <string>
#include <vector>

#include "catch.h"
#include "nfs/patience.h"
#include "nfs/scripted_server.h"
#include "nfs/slow_names.h"

namespace qatime::atime::probe_test {
namespace {

using Catch::Contains;
using namespace nfs;
using testing::is_guarded;
using testing::kSlowName;
using testing::kTimeout;
using testing::Procedure;
using testing::ScriptedServer;
using testing::SlowNames;
using Fault = testing::Action::Fault;

TEST_CASE("A probe of what works says so and leaves times as they are") {
  ScriptedServer server;
  const auto before = server.times("/");
  const auto reports = probe(server.config());
  REQUIRE(reports.size() == 1);
  CHECK(reports[0].ok);
  CHECK(reports[0].server == "127.0.0.1:" + std::to_string(server.port()));
  CHECK(reports[0].path == "/");
  CHECK(server.times("/").atime == before.atime);
  CHECK(server.times("/").mtime == before.mtime);
  CHECK(server.requests().back().procedure == Procedure::setattr);
  CHECK(server.requests().back().guard == before.ctime);
}

TEST_CASE("A probe looks at every server and every export") {
  ScriptedServer server;
  server.add_directory("/a");
  ScriptedServer gone;
  auto config = server.config();
  config.servers = {{"127.0.0.1", server.port()}, {"127.0.0.1", gone.port()}};
  config.exports = {{"/a", "/a"}, {"/b", "/b"}};
  gone.stop();
  const auto reports = probe(config);
  REQUIRE(reports.size() == 4);
  CHECK(reports[0].ok);
  CHECK_FALSE(reports[1].ok);
  CHECK_THAT(reports[1].message, Contains("\"/b\": noent: "));
  CHECK_THAT(reports[2].message, Contains("refused"));
  CHECK_FALSE(reports[2].ok);
  CHECK_FALSE(reports[3].ok);
}

TEST_CASE("A probe looks at every address of a name") {
  ScriptedServer server;
  auto config = server.config();
  config.servers = {{"localhost"}};
  const auto reports = probe(config);
  CHECK(std::ranges::any_of(reports, [&](const ProbeReport& report) {
    return report.ok && report.server == "127.0.0.1:" + std::to_string(server.port());
  }));
}

TEST_CASE("A probe gives up on a name that takes long to resolve, and looks at the other servers") {
  SlowNames names;
  ScriptedServer server;
  auto config = server.config(kTimeout);
  config.servers = {{kSlowName}, {"127.0.0.1"}};
  const auto reports = probe(config);
  CHECK(names.waiting() == 1);
  REQUIRE(reports.size() == 2);
  CHECK_FALSE(reports[0].ok);
  CHECK_THAT(reports[0].server, Contains(kSlowName));
  CHECK_THAT(reports[0].message, Contains("cannot resolve \"slow.test\": no answer"));
  CHECK(reports[1].ok);
}

TEST_CASE("A probe says which name does not resolve") {
  auto config = NfsConfig{};
  config.servers = {{"no-such-host.invalid"}};
  const auto reports = probe(config);
  REQUIRE(reports.size() == 1);
  CHECK_FALSE(reports[0].ok);
  CHECK_THAT(reports[0].message, Contains("cannot resolve \"no-such-host.invalid\""));
}

TEST_CASE("A probe says what to look at") {
  struct Case {
    Procedure procedure;
    testing::Action action;
    std::string says;
  };
  const auto each = GENERATE(values<Case>({
      {Procedure::setattr, {Fault::none, Status::perm}, "squash"},
      {Procedure::setattr, {Fault::none, Status::acces}, "squash"},
      {Procedure::setattr, {Fault::none, Status::rofs}, "read-only"},
      {Procedure::setattr, {Fault::deny}, "AUTH_SYS"},
      {Procedure::mnt, {Fault::deny}, "AUTH_SYS"},
      {Procedure::mnt, {Fault::none, Status::acces}, "let this host mount it"},
      {Procedure::mnt, {Fault::none, Status::noent}, "list of exports"},
      {Procedure::mnt, {Fault::prog_unavail}, "correct nfs.mount_port"},
      {Procedure::mnt, {Fault::prog_mismatch}, "enable NFS version 3"},
      {Procedure::mnt, {Fault::proc_unavail}, "enable NFS version 3"},
      {Procedure::null, {Fault::prog_unavail}, "correct nfs.port"},
      {Procedure::null, {Fault::prog_mismatch}, "enable NFS version 3"},
      {Procedure::getattr, {Fault::none, Status::acces}, "GETATTR"},
  }));
  ScriptedServer server;
  server.script(each.procedure, each.action);
  const auto reports = probe(server.config());
  REQUIRE(reports.size() == 1);
  CHECK_FALSE(reports[0].ok);
  CHECK_THAT(reports[0].message, Contains(each.says));
}

TEST_CASE("An export that takes krb5 alone is not mounted, and AUTH_SYS is said to be missing") {
  constexpr std::uint32_t kNone = 0;
  constexpr std::uint32_t kSys = 1;
  constexpr std::uint32_t kKrb5 = 390003;  // and the next two with integrity and privacy (RFC 2623)
  struct Case {
    std::vector<std::uint32_t> flavors;
    bool is_usable;
  };
  const auto each = GENERATE(values<Case>(
      {{{kKrb5}, false}, {{kKrb5, kKrb5 + 1, kKrb5 + 2}, false}, {{kKrb5, kSys}, true}, {{kNone}, true}, {{}, true}}));
  ScriptedServer server;
  server.script(Procedure::mnt, {.flavors = each.flavors});
  const auto report = probe(server.config()).at(0);
  CHECK(report.ok == each.is_usable);
  if (each.is_usable) return;
  CHECK_THAT(report.message, Contains("krb5 alone: let it take AUTH_SYS"));
  CHECK(server.count(Procedure::setattr) == 0);
}

TEST_CASE("A probe says that an export is a file") {
  ScriptedServer server;
  server.add_file("/f");
  auto config = server.config();
  config.exports = {{"/", "/f"}};
  const auto report = probe(config).at(0);
  CHECK_FALSE(report.ok);
  CHECK_THAT(report.message, Contains("no directory: `export`"));
}

// An export whose root is of another user than nfs.uid, which the server lets set the times of its own files alone.
struct OwnerLab {
  static constexpr std::uint32_t kUser = 1000;

  OwnerLab() {
    server.add_file("/a");
    server.add_file("/b");
    server.script(Procedure::setattr, {Fault::none, GENERATE(Status::perm, Status::acces)}, ScriptedServer::kForEver,
                  [this](const testing::Request& request) { return request.handle != own; });
  }
  void own_file(const std::string& path) {
    server.set_owner(path, kUser);
    own = server.handle(path);
  }
  [[nodiscard]] ProbeReport probe_as(std::uint32_t uid) const {
    auto config = server.config();
    config.uid = uid;
    return probe(config).at(0);
  }

  ScriptedServer server;
  std::string own;
};

TEST_CASE("A probe as a user who does not own the root tries a file of this user") {
  OwnerLab lab;
  lab.own_file("/b");
  const auto before = lab.server.times("/b");
  const auto report = lab.probe_as(OwnerLab::kUser);
  CHECK(report.ok);
  CHECK_THAT(report.message, Contains("of an object of nfs.uid 1000 can be set"));
  CHECK(lab.server.times("/b").atime == before.atime);
  CHECK(lab.server.times("/b").ctime > before.ctime);
}

TEST_CASE("A probe as a user whose own file is refused says so") {
  OwnerLab lab;
  lab.server.set_owner("/a", OwnerLab::kUser);
  const auto report = lab.probe_as(OwnerLab::kUser);
  CHECK_FALSE(report.ok);
  CHECK_THAT(report.message, Contains("SETATTR of an object of nfs.uid: "));
}

TEST_CASE("A probe as a user goes by any own file that can be set") {
  OwnerLab lab;
  lab.server.set_owner("/a", OwnerLab::kUser);
  lab.own_file("/b");
  CHECK(lab.probe_as(OwnerLab::kUser).ok);
}

TEST_CASE("A probe as a user without a file in sight says that nothing is known") {
  OwnerLab lab;
  if (const auto fault = GENERATE(Fault::none, Fault::no_attributes, Fault::no_handles); fault != Fault::none) {
    lab.own_file("/b");
    lab.server.script(Procedure::readdirplus, {fault});
  }
  const auto report = lab.probe_as(OwnerLab::kUser);
  CHECK(report.ok);
  CHECK_THAT(report.message, Contains("user 0 owns the root") && Contains("not known whether times can be set"));
}

TEST_CASE("A denial of the root counts for its owner and for root, and where the export is read-only for all") {
  OwnerLab lab;
  lab.own_file("/b");
  CHECK_FALSE(lab.probe_as(0).ok);
  lab.server.set_owner("/", OwnerLab::kUser);
  CHECK_FALSE(lab.probe_as(OwnerLab::kUser).ok);
  lab.server.set_owner("/", 0);
  lab.server.clear_scripts();
  lab.server.script(Procedure::setattr, {Fault::none, Status::rofs}, 1);
  CHECK_THAT(lab.probe_as(OwnerLab::kUser).message, Contains("read-only"));
}

TEST_CASE("A probe succeeds where the root changes all the time, and where guards are refused") {
  ScriptedServer server;
  server.script(Procedure::setattr, {Fault::none, GENERATE(Status::not_sync, Status::inval, Status::notsupp)},
                ScriptedServer::kForEver, is_guarded);
  CHECK(probe(server.config()).at(0).ok);
}

TEST_CASE("A probe says which servers are not one cluster") {
  ScriptedServer server;
  ScriptedServer node{"127.0.0.2", server.port()};
  ScriptedServer stranger{"127.0.0.3", server.port()};
  stranger.forget_all_handles();
  auto config = server.config();
  config.servers = {{"127.0.0.1"}, {"127.0.0.2"}, {"127.0.0.3"}};
  const auto reports = probe(config);
  REQUIRE(reports.size() == 3);
  CHECK(reports[0].ok);
  CHECK(reports[1].ok);
  CHECK_FALSE(reports[2].ok);
  CHECK_THAT(reports[2].message, Contains("another root than on 127.0.0.1:") && Contains("one cluster"));
}

}  // namespace
}  // namespace qatime::atime::probe_test
