// SPDX-License-Identifier: MIT
// Several servers and exports: which server gets the requests for which export.
#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "catch.h"
#include "nfs/congestion_window.h"
#include "nfs/lab.h"
#include "nfs/slow_names.h"
#include "telemetry/alerts.h"

namespace qatime::nfs::nodes_test {
namespace {

using namespace std::chrono_literals;
using testing::kSlowName;
using testing::Lab;
using testing::Procedure;
using testing::ScriptedServer;
using testing::SlowNames;
using Fault = testing::Action::Fault;

constexpr std::size_t kA = 0;  // indexes of exports
constexpr std::size_t kB = 1;
constexpr std::size_t kRoom = CongestionWindow::kLeast;  // of a server in the beginning

// Two servers on one port of two addresses. Their trees are alike, and so are their handles, as on a cluster.
struct Nodes {
  Nodes() {
    for (ScriptedServer* server : {&first, &second}) {
      server->add_directory("/a");
      server->add_directory("/b");
    }
  }
  [[nodiscard]] NfsConfig config() const {
    auto config = first.config();
    config.servers = {{"127.0.0.1"}, {"127.0.0.2"}};
    config.exports = {{"/a", "/a"}, {"/b", "/b"}};
    return config;
  }

  ScriptedServer first;
  ScriptedServer second{"127.0.0.2", first.port()};
};

bool wait_for_rooms(Lab& lab, std::size_t of_a, std::size_t of_b) {
  return lab.loop.run_until([&] { return lab.client->room(kA) == of_a && lab.client->room(kB) == of_b; });
}

// The statuses of GETATTRs of an export's root, as many as there is room for.
std::vector<Status> fill(Lab& lab, std::size_t export_index) {
  std::vector<Status> statuses;
  std::size_t started = 0;
  const Handle root = lab.client->root(export_index).value();
  for (; lab.client->room(export_index) > 0; ++started) {
    lab.client->getattr(export_index, root, [&](Status status, const auto&) { statuses.push_back(status); });
  }
  REQUIRE(lab.loop.run_until([&] { return statuses.size() == started; }));
  return statuses;
}

std::optional<Alerts::Alert> alert(Lab& lab) {
  const auto active = lab.registry.alerts().active();
  const auto found = std::ranges::find(active, "root", &Alerts::Alert::reason);
  return found == active.end() ? std::nullopt : std::optional{*found};
}

TEST_CASE("A server that refuses an export gets the requests for the others, and for it once it gives it") {
  Nodes nodes;
  nodes.second.set_exports({"/a"});
  Lab lab{nodes.config()};
  REQUIRE(wait_for_rooms(lab, 2 * kRoom, kRoom));
  CHECK(fill(lab, kB) == std::vector(kRoom, Status::ok));
  CHECK(nodes.second.count(Procedure::getattr) == 0);
  CHECK(fill(lab, kA).size() >= 2 * kRoom);
  CHECK(nodes.second.count(Procedure::getattr) >= kRoom);

  nodes.second.set_exports({"/a", "/b"});
  nodes.second.clear_requests();
  const std::size_t of_first = lab.client->room(kB);
  REQUIRE(lab.loop.run_until([&] { return lab.client->room(kB) > of_first; }));
  (void)fill(lab, kB);
  CHECK(nodes.second.count(Procedure::getattr) >= kRoom);
}

TEST_CASE("A request for an export that no server gives is lost, whatever room there is for others") {
  Nodes nodes;
  nodes.first.set_exports({"/a"});
  nodes.second.set_exports({"/a"});
  Lab lab{nodes.config()};
  REQUIRE(wait_for_rooms(lab, 2 * kRoom, 0));
  std::optional<Status> status;
  lab.client->getattr(kB, *lab.client->root(kA), [&](Status got, const auto&) { status = got; });
  REQUIRE(lab.loop.run_until([&] { return status.has_value(); }));
  CHECK(status == Status::lost);
}

// Starts requests that are never answered, as many as there is room for.
std::size_t hang(Lab& lab, std::size_t export_index) {
  std::size_t started = 0;
  const Handle root = lab.client->root(export_index).value();
  for (; lab.client->has_room(export_index); ++started) {
    lab.client->getattr(export_index, root, [](Status, const auto&) {});
  }
  CHECK(lab.client->room(export_index) == 0);
  return started;
}

TEST_CASE("An export that hangs leaves room for the others on each server") {
  Nodes nodes;
  auto config = nodes.config();
  config.max_in_flight = 2 * kRoom;
  Lab lab{config};
  REQUIRE(wait_for_rooms(lab, 2 * kRoom, 2 * kRoom));
  for (ScriptedServer* server : {&nodes.first, &nodes.second}) server->script(Procedure::getattr, {Fault::silence});
  CHECK(hang(lab, kA) == 2 * kRoom);  // its windows
  CHECK(lab.client->room(kB) > 0);
  CHECK(hang(lab, kB) >= kRoom);
  CHECK_FALSE(lab.client->is_full());
}

TEST_CASE("The windows of an export that puts everything off close, and take nothing from another") {
  Nodes nodes;
  Lab lab{nodes.config()};
  REQUIRE(wait_for_rooms(lab, 2 * kRoom, 2 * kRoom));
  const Handle file = *lab.client->root(kA);
  std::size_t outstanding = 0;
  std::size_t put_off = 0;
  const auto keep_busy = [&] {
    while (lab.client->has_room(kA)) {
      ++outstanding;
      lab.client->set_atime(kA, file, testing::kTime, {}, [&](Status status, const auto&) {
        --outstanding;
        put_off += status == Status::jukebox ? 1 : 0;
      });
    }
  };
  for (ScriptedServer* server : {&nodes.first, &nodes.second}) {
    server->script(Procedure::setattr, testing::refuse(Status::jukebox));
  }
  REQUIRE(lab.loop.run_until([&] { return keep_busy(), outstanding == 0; }));
  CHECK(put_off < 400);  // a burst; then they are closed
  CHECK(lab.client->room(kB) == 2 * kRoom);
  CHECK(fill(lab, kB).size() >= 2 * kRoom);

  for (ScriptedServer* server : {&nodes.first, &nodes.second}) server->clear_scripts();
  REQUIRE(lab.loop.run_until([&] { return keep_busy(), lab.client->room(kA) + outstanding >= 2 * kRoom; }));
  REQUIRE(lab.loop.run_until([&] { return outstanding == 0; }));
}

TEST_CASE("A server gets no more requests of all exports than it may have") {
  Nodes nodes;
  auto config = nodes.config();
  config.servers.pop_back();
  config.max_in_flight = kRoom;
  Lab lab{config};
  REQUIRE(wait_for_rooms(lab, kRoom - 1, kRoom - 1));
  nodes.first.script(Procedure::getattr, {Fault::silence}, kRoom);
  const std::size_t of_a = hang(lab, kA);
  const std::size_t of_b = hang(lab, kB);
  CHECK(of_a + of_b == kRoom);
  CHECK(of_b > 0);
  CHECK(lab.client->is_full());
}

TEST_CASE("A server that gives another root gets no requests, is said, and gets them again when it agrees") {
  Nodes nodes;
  nodes.second.forget_all_handles();  // its next ones are others
  Lab lab{nodes.config()};
  REQUIRE(lab.loop.run_until([&] { return alert(lab).has_value(); }));
  const std::string port = ":" + std::to_string(nodes.first.port());
  CHECK(alert(lab)->subject.starts_with("127.0.0.2" + port + " /"));
  CHECK(alert(lab)->text.starts_with("another root than on 127.0.0.1" + port));
  CHECK(alert(lab)->text.find("nfs.servers") != std::string::npos);
  CHECK(lab.client->root(kA)->bytes() == nodes.first.handle("/a"));
  CHECK(lab.client->room(kA) == kRoom);
  CHECK(fill(lab, kA) == std::vector(kRoom, Status::ok));
  CHECK(nodes.second.count(Procedure::getattr) == 0);

  nodes.first.forget_all_handles();
  REQUIRE(lab.loop.run_until([&] { return !alert(lab); }));
  CHECK(lab.client->root(kA)->bytes() == nodes.second.handle("/a"));
  CHECK(lab.client->room(kA) > kRoom);
}

TEST_CASE("A cluster whose roots change raises no alert") {
  Nodes nodes;
  Lab lab{nodes.config()};
  REQUIRE(wait_for_rooms(lab, 2 * kRoom, 2 * kRoom));
  lab.loop.run_for(3100ms);  // since the last MNT
  bool differed = false;
  bool was_said = false;
  lab.client->on_change([&] {
    differed = differed || lab.client->room(kA) < 2 * kRoom;
    was_said = was_said || alert(lab);
  });
  nodes.first.forget_all_handles();
  nodes.second.forget_all_handles();
  CHECK(lab.getattr(lab.root()).status == Status::stale);
  REQUIRE(lab.loop.run_until([&] { return differed && lab.client->room(kA) >= 2 * kRoom; }));
  CHECK(lab.client->root(kA)->bytes() == nodes.second.handle("/a"));
  lab.loop.run_for(5100ms);
  CHECK_FALSE(was_said);
  CHECK_FALSE(alert(lab));
}

TEST_CASE("A root that is asked for again and is the same goes on being served") {
  Nodes nodes;
  Lab lab{nodes.config()};
  REQUIRE(wait_for_rooms(lab, 2 * kRoom, 2 * kRoom));
  lab.loop.run_for(3100ms);  // since the last MNT
  bool changed = false;
  lab.client->on_change([&] { changed = true; });
  nodes.first.script(Procedure::getattr, testing::refuse(Status::stale), 1);
  CHECK(lab.getattr(lab.root()).status == Status::stale);
  REQUIRE(lab.loop.run_until([&] { return lab.rpcs("mnt") > 2 * 2; }));  // of two exports on two servers
  lab.loop.run_for(100ms);
  CHECK_FALSE(changed);
  CHECK(lab.client->room(kA) >= 2 * kRoom);
}

TEST_CASE("The root that counts is that of the first server in the order of nfs.servers") {
  SlowNames names;
  Nodes nodes;
  nodes.second.forget_all_handles();
  auto config = nodes.config();
  config.servers = {{kSlowName}, {"127.0.0.2"}};
  Lab lab{config};
  REQUIRE(lab.wait_for_root());
  CHECK(lab.client->root(kA)->bytes() == nodes.second.handle("/a"));
  names.answer();
  REQUIRE(lab.loop.run_until([&] { return lab.client->root(kA)->bytes() != nodes.second.handle("/a"); }));
  CHECK(lab.client->root(kA)->bytes() == nodes.first.handle("/a"));
  CHECK(lab.client->room(kA) == kRoom);
}

}  // namespace
}  // namespace qatime::nfs::nodes_test
