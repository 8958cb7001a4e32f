// SPDX-License-Identifier: MIT
#include "nfs/session.h"

#include <algorithm>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "atime/set.h"
#include "catch.h"
#include "nfs/patience.h"
#include "nfs/scripted_server.h"
#include "nfs/slow_names.h"

namespace qatime::nfs::session_test {
namespace {

using namespace std::chrono_literals;
using testing::is_guarded;
using testing::kSlowName;
using testing::kTimeout;
using testing::Procedure;
using testing::Request;
using testing::ScriptedServer;
using testing::SlowNames;
using Fault = testing::Action::Fault;

constexpr Time kTime{1'700'000'000'123'456'789ns};

bool has(const std::string& text, const std::string& words) { return text.find(words) != std::string::npos; }

// The words of a walk that finds no server.
std::string complaint(Session& session, const std::string& path) {
  try {
    (void)session.walk(path);
  } catch (const Unreachable& unreachable) {
    return unreachable.what();
  }
  return "nothing";
}

TEST_CASE("A session walks to a path and sets its atime") {
  ScriptedServer server;
  server.add_directory("/a");
  server.add_directory("/a/b");
  server.add_file("/a/b/f");
  Session session{server.config()};
  const auto walk = session.walk("/a/b/f");
  REQUIRE(walk.status == Status::ok);
  CHECK(walk.object.handle.bytes() == server.handle("/a/b/f"));
  CHECK(session.set_atime(0, walk.object.handle, kTime, walk.object.attributes.value().ctime).status == Status::ok);
  CHECK(server.times("/a/b/f").atime == kTime);
  CHECK(session.getattr(0, walk.object.handle).attributes.value().atime == kTime);
}

TEST_CASE("A session walks below the export that holds the path") {
  ScriptedServer server;
  server.add_directory("/e");
  server.add_file("/e/f");
  auto config = server.config();
  config.exports = {{"/data", "/e"}};
  Session session{config};
  CHECK(session.walk("/data").object.handle.bytes() == server.handle("/e"));
  CHECK(session.walk("/data/f").object.handle.bytes() == server.handle("/e/f"));
  CHECK(has(complaint(session, "/other"), "/other"));
}

TEST_CASE("The root of an export is a path like any other") {
  ScriptedServer server;
  Session session{server.config()};
  const auto walk = session.walk("/");
  CHECK(walk.status == Status::ok);
  CHECK(walk.object.attributes.value().is_directory);
}

TEST_CASE("A walk says where it ended") {
  ScriptedServer server;
  server.add_directory("/a");
  server.add_file("/a/f");
  Session session{server.config()};
  const auto missing = session.walk("/a/missing/g");
  CHECK(missing.status == Status::noent);
  CHECK(missing.component == "missing");
  const auto file = session.walk("/a/f/g");
  CHECK(file.status == Status::notdir);
  CHECK(file.component == "g");
}

TEST_CASE("A session asks for attributes that LOOKUP left out") {
  ScriptedServer server;
  server.add_file("/f");
  server.script(Procedure::lookup, {Fault::no_attributes});
  Session session{server.config()};
  CHECK(session.walk("/f").object.attributes.value().atime == server.times("/f").atime);
}

// ---- atime::set()

// A file on a server that is to have the atime kTime, unless it has a newer one.
struct Update {
  Update() { server.add_file("/f"); }

  Status run() {
    Session session{server.config()};
    return atime::set(session, 0, session.walk("/f").object, [this](const Attributes& found) {
      ++looks;
      meanwhile();
      return found.atime < kTime ? std::optional{kTime} : std::nullopt;
    });
  }
  [[nodiscard]] Time atime() const { return server.times("/f").atime; }
  // Those of all SETATTRs.
  [[nodiscard]] std::vector<std::optional<Time>> guards() const {
    std::vector<std::optional<Time>> guards;
    for (const Request& request : server.requests()) {
      if (request.procedure == Procedure::setattr) guards.push_back(request.guard);
    }
    return guards;
  }

  ScriptedServer server;
  std::function<void()> meanwhile = [] {};  // between a look and its SETATTR
  int looks = 0;
};

TEST_CASE("An atime is set guarded by the ctime that was seen") {
  Update update;
  const Time ctime = update.server.times("/f").ctime;
  CHECK(update.run() == Status::ok);
  CHECK(update.atime() == kTime);
  CHECK(update.guards() == std::vector{std::optional{ctime}});
}

TEST_CASE("What changed since it was looked at is looked at again") {
  Update update;
  update.meanwhile = [&] {
    if (update.looks < 3) update.server.set_atime("/f", Time{1s});
  };
  CHECK(update.run() == Status::ok);
  CHECK(update.atime() == kTime);
  CHECK(update.looks == 3);
  CHECK(update.guards().back());
}

TEST_CASE("A newer atime that somebody else set meanwhile stays") {
  Update update;
  update.meanwhile = [&] { update.server.set_atime("/f", kTime + 1s); };
  CHECK(update.run() == Status::ok);
  CHECK(update.atime() == kTime + 1s);
  CHECK(update.guards().size() == 1);
}

TEST_CASE("What changes all the time is set without a guard") {
  Update update;
  update.meanwhile = [&] { update.server.set_atime("/f", Time{1s}); };
  CHECK(update.run() == Status::ok);
  CHECK(update.atime() == kTime);
  CHECK(update.looks == 4);
  CHECK_FALSE(update.guards().back());
}

TEST_CASE("Where guards are refused the atime is set without one") {
  Update update;
  update.server.script(Procedure::setattr, {Fault::none, GENERATE(Status::inval, Status::notsupp)},
                       ScriptedServer::kForEver, is_guarded);
  CHECK(update.run() == Status::ok);
  CHECK(update.atime() == kTime);
  CHECK(update.guards().size() == 2);
}

TEST_CASE("Any other status ends an update") {
  Update update;
  const auto status = GENERATE(Status::perm, Status::rofs, Status::stale, Status::jukebox);
  update.server.script(Procedure::setattr, {Fault::none, status});
  CHECK(update.run() == status);
  CHECK(update.guards().size() == 1);
}

TEST_CASE("An object that is gone when it is looked at again ends an update") {
  Update update;
  update.server.script(Procedure::setattr, {Fault::none, Status::not_sync});
  update.server.script(Procedure::getattr, {Fault::none, Status::stale});
  CHECK(update.run() == Status::stale);
}

TEST_CASE("A status that has nothing to do with guards is not hidden by trying without one") {
  Update update;
  update.server.script(Procedure::setattr, {Fault::none, Status::inval});
  CHECK(update.run() == Status::inval);
  CHECK(update.guards().size() == 2);
}

// ---- without a server

TEST_CASE("A session without a server says which and why") {
  ScriptedServer server;
  const auto config = server.config();
  server.stop();
  Session session{config};
  const auto said = complaint(session, "/f");
  CHECK(has(said, "127.0.0.1:" + std::to_string(config.port)));
  CHECK(has(said, "refused"));
}

TEST_CASE("A session waits for one server when another has failed") {
  ScriptedServer server;
  ScriptedServer gone;
  auto config = server.config();
  config.servers = {{"127.0.0.1", gone.port()}, {"127.0.0.1", server.port()}};
  gone.stop();
  Session session{config};
  CHECK(session.walk("/").status == Status::ok);
}

TEST_CASE("A session gives up on a server that keeps silent") {
  ScriptedServer server;
  server.script(Procedure::mnt, {Fault::silence});
  Session session{server.config(kTimeout)};
  CHECK(has(complaint(session, "/"), "MOUNT"));
}

TEST_CASE("A session gives up on a name that takes long to resolve") {
  SlowNames names;
  ScriptedServer server;
  auto config = server.config(kTimeout);
  config.servers = {{kSlowName}};
  {
    Session session{config};
    CHECK(has(complaint(session, "/"), "cannot resolve \"slow.test\": no answer"));
  }
  CHECK(names.waiting() == 1);
}

}  // namespace
}  // namespace qatime::nfs::session_test
