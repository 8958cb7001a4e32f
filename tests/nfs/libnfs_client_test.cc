// SPDX-License-Identifier: MIT
#include "nfs/libnfs_client.h"

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/ip/address.hpp>

#include "catch.h"
#include "metrics.h"
#include "nfs/lab.h"
#include "nfs/scripted_server.h"
#include "nfs/slow_names.h"
#include "nfs/window.h"
#include "path.h"

namespace qatime::nfs {
namespace {

using namespace std::chrono_literals;
using testing::kSlowName;
using testing::kTime;
using testing::Lab;
using testing::Procedure;
using testing::refuse;
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
  CHECK(lab.client->room() == 0);
  CHECK_FALSE(lab.client->root(0));
  const auto answer = lab.getattr(lab.root());
  CHECK(answer.status == Status::ok);
  CHECK(answer.object.attributes.value().is_directory);
  CHECK(lab.client->mount_status(0) == Status::ok);
  CHECK(lab.client->room() >= Window::kLeast);
  CHECK(lab.rpcs("mnt") == 1);
  CHECK(lab.rpcs("null") == 1);
  CHECK(lab.rpcs("getattr") == 1);
  CHECK(lab.rpcs("getport") == 0);
  CHECK(lab.value("qatime_server_up", "127.0.0.1:" + std::to_string(server.port())) == 1);
}

TEST_CASE("Each export is a lane with a root of its own, mounted by its target") {
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
  CHECK(lab.client->room() > 0);
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

// ---- requests

TEST_CASE("LOOKUP finds names of any bytes") {
  ScriptedServer server;
  Lab lab{server};
  const std::vector<std::string> names{"a,b", "\"q\"", " ",  "\t",       "\\", "#012",
                                       "%41", "*",     "-f", "\xe4\xff", "ü",  std::string(kMaxComponent, 'x')};
  for (const std::string& name : names) {
    server.add_file("/" + name);
    const auto answer = lab.lookup(lab.root(), name);
    REQUIRE(answer.status == Status::ok);
    CHECK(answer.object.handle.bytes() == server.handle("/" + name));
    CHECK_FALSE(answer.object.attributes.value().is_directory);
    CHECK(answer.object.attributes.value().atime == server.times("/" + name).atime);
  }
}

TEST_CASE("Names that no server can have never reach one") {
  ScriptedServer server;
  Lab lab{server};
  CHECK(lab.lookup(lab.root(), std::string(kMaxComponent + 1, 'x')).status == Status::nametoolong);
  CHECK(lab.lookup(lab.root(), std::string("a\0b", 3)).status == Status::inval);
  CHECK(lab.lookup(lab.root(), "a/b").status == Status::inval);
  CHECK(lab.lookup(lab.root(), "").status == Status::inval);
  CHECK(server.count(Procedure::lookup) == 0);
}

TEST_CASE("SETATTR carries atime alone, to the nanosecond") {
  ScriptedServer server;
  server.add_file("/f");
  const auto before = server.times("/f");
  Lab lab{server};
  const auto file = lab.lookup(lab.root(), "f").object.handle;
  const auto answer = lab.set_atime(file, kTime);
  CHECK(answer.status == Status::ok);
  CHECK(answer.object.attributes.value().atime == kTime);
  CHECK(server.times("/f").atime == kTime);
  CHECK(server.times("/f").mtime == before.mtime);
  const Request request = server.requests().back();
  CHECK(request.procedure == Procedure::setattr);
  CHECK(request.atime == kTime);
  CHECK_FALSE(request.sets_more);
  CHECK_FALSE(request.guard);
}

TEST_CASE("The times at both ends of nfstime3 arrive") {
  ScriptedServer server;
  Lab lab{server};
  const Time end{std::chrono::seconds{(std::int64_t{1} << 32) - 1} + 999'999'999ns};
  CHECK(lab.set_atime(lab.root(), Time{}).object.attributes.value().atime == Time{});
  CHECK(lab.set_atime(lab.root(), end).object.attributes.value().atime == end);
}

TEST_CASE("A guard that is no longer the ctime is NOT_SYNC, and nothing is set") {
  ScriptedServer server;
  server.add_file("/f");
  Lab lab{server};
  const auto found = lab.lookup(lab.root(), "f").object;
  const Time ctime = found.attributes.value().ctime;
  server.set_atime("/f", Time{1s});
  CHECK(lab.set_atime(found.handle, kTime, ctime).status == Status::not_sync);
  CHECK(server.times("/f").atime == Time{1s});
  CHECK(lab.set_atime(found.handle, kTime, server.times("/f").ctime).status == Status::ok);
  CHECK(server.requests().back().guard);
}

TEST_CASE("A server may leave out attributes") {
  ScriptedServer server;
  server.add_file("/f");
  server.script(Procedure::lookup, {Fault::no_attributes});
  server.script(Procedure::setattr, {Fault::no_attributes});
  Lab lab{server};
  const auto answer = lab.lookup(lab.root(), "f");
  CHECK(answer.status == Status::ok);
  CHECK_FALSE(answer.object.attributes);
  const auto set = lab.set_atime(answer.object.handle, kTime);
  CHECK(set.status == Status::ok);
  CHECK_FALSE(set.object.attributes);
}

TEST_CASE("A completion may start the next request") {
  ScriptedServer server;
  server.add_file("/f");
  Lab lab{server};
  const Handle root = lab.root();
  Status last = Status::lost;
  bool done = false;
  lab.client->lookup(root, "f", [&](Status, const Object& object) {
    lab.client->set_atime(object.handle, kTime, object.attributes->ctime, [&](Status status, const auto&) {
      last = status;
      done = true;
    });
  });
  REQUIRE(lab.loop.run_until([&] { return done; }));
  CHECK(last == Status::ok);
}

TEST_CASE("Room is what max_in_flight leaves, over all connections to a server") {
  ScriptedServer server;
  auto config = server.config();
  config.connections = 3;
  config.max_in_flight = 100;
  config.timeout = 60s;
  Lab lab{config};
  int ready = 0;
  lab.client->on_change([&] { ++ready; });
  REQUIRE(lab.loop.run_until([&] { return ready == 3; }));
  const Handle root = lab.root();
  lab.grow(100);
  server.clear_requests();
  server.script(Procedure::getattr, {Fault::silence});
  for (std::size_t room = 100; room > 0; --room) {
    CHECK(lab.client->room() == room);
    lab.client->getattr(root, [](Status, const auto&) {});
  }
  CHECK(lab.client->room() == 0);
  REQUIRE(lab.loop.run_until([&] { return server.count(Procedure::getattr) == 100; }));
  std::map<std::uint32_t, int> by_connection;
  for (const Request& request : server.requests()) {
    if (request.procedure == Procedure::getattr) ++by_connection[request.connection];
  }
  REQUIRE(by_connection.size() == 3);
  for (const auto& [connection, count] : by_connection) CHECK(count >= 33);
}

TEST_CASE("Thousands of requests complete, each once") {
  ScriptedServer server;
  server.add_file("/f");
  auto config = server.config();
  config.connections = 3;
  config.timeout = 60s;
  Lab lab{config};
  const Handle root = lab.root();
  std::size_t started = 0;
  std::size_t completed = 0;
  std::function<void()> fill = [&] {
    while (started < 5000 && lab.client->room() > 0) {
      ++started;
      lab.client->lookup(root, "f", [&](Status status, const Object&) {
        CHECK(status == Status::ok);
        ++completed;
        fill();
      });
    }
  };
  fill();
  REQUIRE(lab.loop.run_until([&] { return completed == 5000; }));
  lab.loop.run_for(20ms);
  CHECK(completed == 5000);
  CHECK(server.count(Procedure::lookup) == 5000);
  CHECK(lab.client->room() == 64);
}

TEST_CASE("A server that puts requests off gets fewer at once, and as many as before when it does not") {
  ScriptedServer server;
  auto config = server.config();
  config.timeout = 60s;
  Lab lab{config};
  lab.grow(64);
  const auto window = [&] { return lab.value("qatime_server_window", "127.0.0.1:" + std::to_string(server.port())); };
  CHECK(window() == 64);
  server.script(Procedure::getattr, refuse(Status::jukebox), 1);
  CHECK(lab.getattr(lab.root()).status == Status::jukebox);
  CHECK(lab.client->room() == 32);
  CHECK(window() == 32);
  lab.grow(64);
}

TEST_CASE("A server that lets requests time out gets fewer at once") {
  ScriptedServer server;
  Lab lab{server};
  lab.grow(64);
  server.script(Procedure::getattr, {Fault::silence}, 1);
  CHECK(lab.getattr(lab.root()).status == Status::timeout);
  CHECK(lab.client->room() <= 32);
}

TEST_CASE("A server that answers slowly gets few requests at once within seconds") {
  ScriptedServer server;
  server.add_file("/f");
  auto config = server.config();
  config.timeout = 60s;
  Lab lab{config};
  const Handle file = lab.lookup(lab.root(), "f").object.handle;
  bool stop = false;
  std::size_t outstanding = 0;
  const std::function<void()> fill = [&] {
    while (!stop && lab.client->room() > 0) {
      ++outstanding;
      lab.client->set_atime(file, kTime, {}, [&](Status status, const auto&) {
        CHECK(status == Status::ok);
        --outstanding;
        fill();
      });
    }
  };
  fill();
  REQUIRE(lab.loop.run_until([&] { return outstanding == 64; }));
  lab.loop.run_for(1s);
  server.script(Procedure::setattr, {Fault::none, {}, 200ms});
  REQUIRE(lab.loop.run_until([&] { return outstanding <= 8; }));
  server.clear_scripts();
  REQUIRE(lab.loop.run_until([&] { return outstanding == 64; }));
  stop = true;
  REQUIRE(lab.loop.run_until([&] { return outstanding == 0; }));
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
  auto config = server.config();
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

TEST_CASE("Our own addresses are reported once each") {
  ScriptedServer server;
  Lab lab{server};
  std::vector<std::vector<boost::asio::ip::address>> reports;
  lab.client->on_local_addresses([&](const auto& addresses) { reports.push_back(addresses); });
  REQUIRE(lab.wait_for_root());
  server.drop_connections();
  REQUIRE(lab.loop.run_until([&] { return lab.client->room() == 0; }));
  REQUIRE(lab.wait_for_root());
  REQUIRE(reports.size() == 1);
  CHECK(reports[0] == std::vector{boost::asio::ip::make_address("127.0.0.1")});
}

TEST_CASE("Changes are told when a server comes and when it goes") {
  ScriptedServer server;
  Lab lab{server};
  std::vector<std::size_t> rooms;
  lab.client->on_change([&] { rooms.push_back(lab.client->room()); });
  REQUIRE(lab.loop.run_until([&] { return rooms.size() == 1; }));
  server.stop();
  REQUIRE(lab.loop.run_until([&] { return rooms.size() >= 2; }));
  CHECK(rooms[0] == Window::kLeast);
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
  Lab lab{server};
  const Handle root = lab.root();
  lab.grow(64);
  server.clear_requests();
  server.script(Procedure::getattr, {Fault::silence});
  bool called = false;
  for (int count = 0; count < 10; ++count) lab.client->getattr(root, [&](Status, const auto&) { called = true; });
  SECTION("before anything was sent") {}
  SECTION("while the server holds them") {
    REQUIRE(lab.loop.run_until([&] { return server.count(Procedure::getattr) == 10; }));
  }
  SECTION("when they are lost already, but not told") { server.stop(); }
  lab.client.reset();
  lab.loop.run_for(700ms);
  CHECK_FALSE(called);
}

TEST_CASE("A client that is destroyed forgets what it could not even start") {
  ScriptedServer server;
  Lab lab{server};
  bool called = false;
  lab.client->getattr(Handle{std::string_view{"h"}}, [&](Status, const auto&) { called = true; });
  lab.client.reset();
  lab.loop.run_for(20ms);
  CHECK_FALSE(called);
}

TEST_CASE("A completion may destroy the client") {
  ScriptedServer server;
  const auto fault = GENERATE(Fault::none, Fault::drop, Fault::silence);
  Lab lab{server};
  const Handle root = lab.root();
  server.script(Procedure::getattr, {fault});
  int calls = 0;
  for (int count = 0; count < 3; ++count) {
    lab.client->getattr(root, [&](Status, const auto&) {
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
}  // namespace qatime::nfs
