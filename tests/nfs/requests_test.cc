// SPDX-License-Identifier: MIT
// Requests of a client whose server answers, and how many there are at once.
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/path.h"
#include "catch.h"
#include "nfs/lab.h"

namespace qatime::nfs::requests_test {
namespace {

using namespace std::chrono_literals;
using testing::kTime;
using testing::kTimeout;
using testing::Lab;
using testing::Procedure;
using testing::refuse;
using testing::Request;
using testing::ScriptedServer;
using Fault = testing::Action::Fault;

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
  lab.client->lookup(0, root, "f", [&](Status, const Object& object) {
    lab.client->set_atime(0, object.handle, kTime, object.attributes->ctime, [&](Status status, const auto&) {
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
  Lab lab{config};
  int ready = 0;
  lab.client->on_change([&] { ++ready; });
  REQUIRE(lab.loop.run_until([&] { return ready == 3; }));
  const Handle root = lab.root();
  lab.grow(100);
  server.clear_requests();
  server.script(Procedure::getattr, {Fault::silence});
  for (std::size_t room = 100; room > 0; --room) {
    CHECK(lab.client->room(0) == room);
    lab.client->getattr(0, root, [](Status, const auto&) {});
  }
  CHECK(lab.client->room(0) == 0);
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
  Lab lab{config};
  const Handle root = lab.root();
  std::size_t started = 0;
  std::size_t completed = 0;
  std::function<void()> fill = [&] {
    while (started < 5000 && lab.client->room(0) > 0) {
      ++started;
      lab.client->lookup(0, root, "f", [&](Status status, const Object&) {
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
  CHECK(lab.client->room(0) == 64);
}

TEST_CASE("A server that puts requests off gets fewer at once, and as many as before when it does not") {
  ScriptedServer server;
  Lab lab{server};
  lab.grow(64);
  const auto window = [&] { return lab.value("qatime_server_window", "127.0.0.1:" + std::to_string(server.port())); };
  CHECK(window() == 64);
  server.script(Procedure::getattr, refuse(Status::jukebox), 1);
  CHECK(lab.getattr(lab.root()).status == Status::jukebox);
  CHECK(lab.client->room(0) == 32);
  CHECK(window() == 32);
  lab.grow(64);
}

TEST_CASE("A server that lets requests time out gets fewer at once") {
  ScriptedServer server;
  Lab lab{server, kTimeout};
  lab.grow(64);
  server.script(Procedure::getattr, {Fault::silence}, 1);
  CHECK(lab.getattr(lab.root()).status == Status::timeout);
  CHECK(lab.client->room(0) <= 32);
}

TEST_CASE("A server that answers slowly gets few requests at once within seconds") {
  ScriptedServer server;
  server.add_file("/f");
  Lab lab{server};
  const Handle file = lab.lookup(lab.root(), "f").object.handle;
  bool stop = false;
  std::size_t outstanding = 0;
  const std::function<void()> fill = [&] {
    while (!stop && lab.client->room(0) > 0) {
      ++outstanding;
      lab.client->set_atime(0, file, kTime, {}, [&](Status status, const auto&) {
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

}  // namespace
}  // namespace qatime::nfs::requests_test
