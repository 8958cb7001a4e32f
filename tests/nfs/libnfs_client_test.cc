// SPDX-License-Identifier: MIT
#include "nfs/libnfs_client.h"

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/ip/address.hpp>

#include "catch.h"
#include "nfs/congestion_window.h"
#include "nfs/lab.h"
#include "nfs/scripted_server.h"
#include "nfs/slow_names.h"
#include "telemetry/metrics.h"

namespace qatime::nfs::libnfs_client_test {
namespace {

using namespace std::chrono_literals;
using testing::kSlowName;
using testing::kTime;
using testing::kTimeout;
using testing::Lab;
using testing::Procedure;
using testing::Request;
using testing::ScriptedServer;
using testing::SlowNames;
using Fault = testing::Action::Fault;

std::size_t open_descriptors() {
  const std::filesystem::directory_iterator open{"/proc/self/fd"};
  return static_cast<std::size_t>(std::distance(begin(open), end(open)));
}

// ---- mounting

TEST_CASE("An export is mounted and its root is usable") {
  ScriptedServer server;
  Lab lab{server};
  CHECK(lab.client->room(0) == 0);
  CHECK_FALSE(lab.client->root(0));
  const auto answer = lab.getattr(lab.root());
  CHECK(answer.status == Status::ok);
  CHECK(answer.object.attributes.value().is_directory);
  CHECK(lab.client->mount_status(0) == Status::ok);
  CHECK(lab.client->room(0) >= CongestionWindow::kLeast);
  CHECK(lab.rpcs("mnt") == 1);
  CHECK(lab.rpcs("null") == 1);
  CHECK(lab.rpcs("getattr") == 1);
  CHECK(lab.rpcs("getport") == 0);
  CHECK(lab.value("qatime_server_up", "127.0.0.1:" + std::to_string(server.port())) == 1);
}

TEST_CASE("Each export has a root of its own, mounted by its target") {
  ScriptedServer server;
  server.add_directory("/a");
  server.add_directory("/b");
  auto config = server.config();
  config.exports = {{"/first", "/a"}, {"/second", "/b"}};
  Lab lab{config};
  REQUIRE(lab.wait_for_root());
  CHECK(lab.client->root(0)->bytes() == server.handle("/a"));
  CHECK(lab.client->root(1)->bytes() == server.handle("/b"));
}

TEST_CASE("Credentials are AUTH_SYS with the configured user and group") {
  ScriptedServer server;
  auto config = server.config();
  config.uid = 1234;
  config.gid = 4294967294;
  Lab lab{config};
  REQUIRE(lab.wait_for_root());
  (void)lab.getattr(lab.root());
  for (const Request& request : server.requests()) {
    if (request.procedure == Procedure::null) continue;  // needs none
    CHECK(request.uid == 1234);
    CHECK(request.gid == 4294967294);
  }
}

TEST_CASE("A refused export has its status while the others are served, and is asked for again") {
  ScriptedServer server;
  server.add_directory("/a");
  server.add_directory("/b");
  server.set_exports({"/b"});
  auto config = server.config();
  config.exports = {{"/a", "/a"}, {"/b", "/b"}};
  Lab lab{config};
  REQUIRE(lab.loop.run_until([&] { return lab.client->root(1).has_value(); }));
  CHECK(lab.client->mount_status(0) == Status::noent);
  CHECK_FALSE(lab.client->root(0));
  CHECK(lab.client->room(0) == 0);
  CHECK(lab.client->room(1) > 0);
  CHECK(lab.client->trouble(0).value().find("\"/a\"") != std::string::npos);
  int changes = 0;
  lab.client->on_change([&] { ++changes; });
  server.set_exports({"/a", "/b"});
  REQUIRE(lab.wait_for_root());
  CHECK(lab.client->mount_status(0) == Status::ok);
  CHECK(changes == 1);
}

TEST_CASE("Nothing is served by what does not answer NULL") {
  ScriptedServer server;
  server.script(Procedure::null, {Fault::proc_unavail}, 2);
  Lab lab{server};
  REQUIRE(lab.wait_for_root());
  CHECK(lab.rpcs("null") == 3);
}

TEST_CASE("A root that became stale is asked for again") {
  ScriptedServer server;
  Lab lab{server};
  const Handle old = lab.root();
  server.forget_all_handles();
  CHECK(lab.getattr(old).status == Status::stale);
  // Not within seconds of the last time, so that a storm of stale handles is none of MNT.
  CHECK(lab.getattr(old).status == Status::stale);
  lab.loop.run_for(100ms);
  CHECK(lab.rpcs("mnt") == 1);
  lab.loop.run_for(3s);
  CHECK(lab.getattr(old).status == Status::stale);
  REQUIRE(lab.loop.run_until([&] { return lab.client->root(0) != old; }));
  CHECK(lab.getattr(lab.root()).status == Status::ok);
}

TEST_CASE("A handle that became stale and is no root asks for no roots") {
  ScriptedServer server;
  server.add_file("/f");
  Lab lab{server};
  const Handle file = lab.lookup(lab.root(), "f").object.handle;
  lab.loop.run_for(3100ms);  // since the last MNT
  server.forget_handles();
  CHECK(lab.getattr(file).status == Status::stale);
  CHECK(lab.lookup(file, "g").status == Status::stale);
  CHECK(lab.set_atime(file, kTime).status == Status::stale);
  CHECK(lab.getattr(lab.root()).status == Status::ok);
  lab.loop.run_for(100ms);
  CHECK(lab.rpcs("mnt") == 1);
}

// ---- names and addresses

TEST_CASE("A name is resolved, and each of its addresses is a server") {
  ScriptedServer server;
  auto config = server.config();
  config.servers = {{"localhost"}};
  Lab lab{config};
  REQUIRE(lab.wait_for_root());
  CHECK(lab.value("qatime_server_up", "127.0.0.1:" + std::to_string(server.port())) == 1);
}

TEST_CASE("A name that does not resolve is said") {
  ScriptedServer server;
  auto config = server.config();
  config.servers = {{"no-such-host.invalid"}};
  Lab lab{config};
  REQUIRE(lab.loop.run_until([&] { return lab.client->trouble(0).has_value(); }));
  CHECK(lab.client->trouble(0)->find("no-such-host.invalid") != std::string::npos);
}

TEST_CASE("A name that takes long to resolve is said, waited for, and then served") {
  SlowNames names;
  ScriptedServer server;
  auto config = server.config(kTimeout);
  config.servers = {{kSlowName}};
  Lab lab{config};
  REQUIRE(lab.loop.run_until([&] { return lab.client->trouble(0).has_value(); }));
  CHECK(lab.client->trouble(0)->find("cannot resolve \"slow.test\": no answer") == 0);
  CHECK(names.waiting() == 1);
  names.answer();
  CHECK(lab.getattr(lab.root()).status == Status::ok);
  CHECK_FALSE(lab.client->trouble(0));
}

TEST_CASE("A name is asked for once at a time") {
  SlowNames names;
  ScriptedServer server;
  auto config = server.config();
  config.servers = {{kSlowName}, {"127.0.0.1"}};
  server.stop();
  Lab lab{config};
  lab.loop.run_for(6s);  // attempts to connect to the other, and the pause between two looks at one name
  CHECK(names.waiting() == 1);
}

const LocalAddresses kHere{{*parse_address("127.0.0.1")}, true};

TEST_CASE("Our own addresses are told at once, and when they change") {
  ScriptedServer server;
  Lab lab{server};
  std::vector<LocalAddresses> reports;
  lab.client->on_local_addresses([&](const auto& ours) { reports.push_back(ours); });
  CHECK(reports == std::vector{kHere});  // before there is a connection
  REQUIRE(lab.wait_for_root());
  server.drop_connections();
  REQUIRE(lab.loop.run_until([&] { return lab.client->room(0) == 0; }));
  REQUIRE(lab.wait_for_root());
  CHECK(reports.size() == 1);
}

TEST_CASE("Our own addresses follow the names of servers") {
  SlowNames names;
  ScriptedServer server;
  auto config = server.config();
  config.servers = {{kSlowName}};
  server.stop();  // no connection tells an address
  Lab lab{config};
  std::vector<LocalAddresses> reports;
  lab.client->on_local_addresses([&](const auto& ours) { reports.push_back(ours); });
  REQUIRE(lab.loop.run_until([&] { return names.waiting() == 1; }));
  names.answer();
  REQUIRE(lab.loop.run_until([&] { return reports.size() == 2; }));
  CHECK(reports == std::vector{LocalAddresses{}, kHere});
}

TEST_CASE("Our own addresses are as complete as they can be if a name has none") {
  auto config = NfsConfig{};
  config.servers = {{"no-such-host.invalid"}};
  Lab lab{config};
  std::vector<LocalAddresses> reports;
  lab.client->on_local_addresses([&](const auto& ours) { reports.push_back(ours); });
  REQUIRE(lab.loop.run_until([&] { return reports.size() == 2; }));
  CHECK(reports == std::vector{LocalAddresses{}, LocalAddresses{{}, true}});
}

TEST_CASE("Changes are told when a server comes and when it goes") {
  ScriptedServer server;
  Lab lab{server};
  std::vector<std::size_t> rooms;
  lab.client->on_change([&] { rooms.push_back(lab.client->room(0)); });
  REQUIRE(lab.loop.run_until([&] { return rooms.size() == 1; }));
  server.stop();
  REQUIRE(lab.loop.run_until([&] { return rooms.size() >= 2; }));
  CHECK(rooms[0] == CongestionWindow::kLeast);
  CHECK(rooms[1] == 0);
}

// ---- lifetime

TEST_CASE("A client and its loop end while a name is being resolved") {
  SlowNames names;
  auto config = NfsConfig{};
  config.servers = {{kSlowName}};
  {
    Lab lab{config};
    REQUIRE(lab.loop.run_until([&] { return names.waiting() == 1; }));
  }
  CHECK(names.waiting() == 1);
}

TEST_CASE("A client that is destroyed forgets what is outstanding") {
  ScriptedServer server;
  Lab lab{server, kTimeout};
  const Handle root = lab.root();
  lab.grow(64);
  server.clear_requests();
  server.script(Procedure::getattr, {Fault::silence});
  bool called = false;
  for (int count = 0; count < 10; ++count) lab.client->getattr(0, root, [&](Status, const auto&) { called = true; });
  SECTION("before anything was sent") {}
  SECTION("while the server holds them") {
    REQUIRE(lab.loop.run_until([&] { return server.count(Procedure::getattr) == 10; }));
  }
  SECTION("when they are lost already, but not told") { server.stop(); }
  lab.client.reset();
  lab.loop.run_for(kTimeout * 3 / 2);
  CHECK_FALSE(called);
}

TEST_CASE("A client that is destroyed forgets what it could not even start") {
  ScriptedServer server;
  Lab lab{server};
  bool called = false;
  lab.client->getattr(0, Handle{std::string_view{"h"}}, [&](Status, const auto&) { called = true; });
  lab.client.reset();
  lab.loop.run_for(20ms);
  CHECK_FALSE(called);
}

TEST_CASE("A completion may destroy the client") {
  ScriptedServer server;
  const auto fault = GENERATE(Fault::none, Fault::drop, Fault::silence);
  Lab lab{server, kTimeout};
  const Handle root = lab.root();
  server.script(Procedure::getattr, {fault});
  int calls = 0;
  for (int count = 0; count < 3; ++count) {
    lab.client->getattr(0, root, [&](Status, const auto&) {
      ++calls;
      lab.client.reset();
    });
  }
  REQUIRE(lab.loop.run_until([&] { return lab.client == nullptr; }));
  lab.loop.run_for(50ms);
  CHECK(calls == 1);
}

TEST_CASE("Clients that come and go in every state leave no descriptor open") {
  ScriptedServer server;
  Lab warm{server};
  REQUIRE(warm.wait_for_root());
  const auto before = open_descriptors();
  for (int round = 0; round < 50; ++round) {
    metrics::Registry registry;
    LibnfsClient client{warm.loop.io(), server.config(), registry};
    for (int step = 0; step < round; ++step) warm.loop.io().poll_one();
  }
  warm.loop.run_for(50ms);
  CHECK(warm.loop.run_until([&] { return open_descriptors() == before; }));
}

}  // namespace
}  // namespace qatime::nfs::libnfs_client_test
