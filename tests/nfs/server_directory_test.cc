// SPDX-License-Identifier: MIT
// Names of servers whose addresses come, go and cannot be reached.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include "catch.h"
#include "nfs/lab.h"
#include "nfs/slow_names.h"
#include "telemetry/alerts.h"

namespace qatime::nfs::server_directory_test {
namespace {

using namespace std::chrono_literals;
using testing::kMovingName;
using testing::Lab;
using testing::MovingName;
using testing::Procedure;
using testing::ScriptedServer;
using testing::slowly;
using Fault = testing::Action::Fault;

constexpr const char* kFirst = "127.0.0.1";
constexpr const char* kSecond = "127.0.0.2";
constexpr const char* kNowhere = "fe80::1";  // without the interface that such an address needs

// Two servers on one port of two addresses, and a client that knows them by a name.
struct Moves {
  explicit Moves(std::vector<std::string> addresses) : name{std::move(addresses)} {}

  [[nodiscard]] NfsConfig config() const {
    auto config = first.config();
    config.servers = {{kMovingName}};
    return config;
  }
  [[nodiscard]] std::string label(const std::string& address) const {
    return (address == kNowhere ? "[" + address + "]" : address) + ":" + std::to_string(first.port());
  }
  // -1: there is no such server.
  [[nodiscard]] std::int64_t up(const std::string& address) { return lab.value("qatime_server_up", label(address)); }
  [[nodiscard]] bool wait_until_gone(const std::string& address) {
    return lab.loop.run_until([&] { return up(address) == -1; });
  }
  [[nodiscard]] bool wait_for_lookups(std::size_t count) {
    return lab.loop.run_until([&] { return name.lookups() >= count; });
  }
  [[nodiscard]] std::vector<std::string> alerts() {
    std::vector<std::string> reasons;
    for (const auto& each : lab.registry.alerts().active()) reasons.push_back(each.reason);
    return reasons;
  }

  ScriptedServer first;
  ScriptedServer second{kSecond, first.port()};
  MovingName name;
  Lab lab{config(), {.names = slowly(100ms), .names_of_away = slowly(50ms)}};
};

TEST_CASE("A new address of a name is used though the others are up") {
  Moves moves{{kFirst}};
  REQUIRE(moves.lab.loop.run_until([&] { return moves.up(kFirst) == 1; }));
  moves.name.set({kFirst, kSecond});
  REQUIRE(moves.lab.loop.run_until([&] { return moves.up(kSecond) == 1; }));
  CHECK(moves.up(kFirst) == 1);
}

TEST_CASE("An address that left its name gets no more work, and is gone when it has done what it had") {
  Moves moves{{kFirst, kSecond}};
  REQUIRE(moves.lab.loop.run_until([&] { return moves.up(kFirst) == 1 && moves.up(kSecond) == 1; }));
  moves.second.script(Procedure::getattr, {Fault::none, {}, slowly(2s)}, 1);
  std::vector<Status> statuses;
  for (int count = 0; count < 2; ++count) {
    moves.lab.client->getattr(0, moves.lab.root(), [&](Status status, const auto&) { statuses.push_back(status); });
  }
  REQUIRE(moves.lab.loop.run_until([&] { return moves.second.count(Procedure::getattr) == 1; }));
  moves.name.set({kFirst});
  REQUIRE(moves.wait_for_lookups(2));
  CHECK(statuses.size() == 1);
  CHECK(moves.up(kSecond) == 1);
  std::size_t started = 0;
  std::size_t ended = 0;
  for (; moves.lab.client->room(0) > 0; ++started) {
    moves.lab.client->getattr(0, moves.lab.root(), [&](Status, const auto&) { ++ended; });
  }
  REQUIRE(moves.lab.loop.run_until([&] { return ended == started; }));
  REQUIRE(moves.wait_until_gone(kSecond));
  CHECK(statuses == std::vector(2, Status::ok));
  CHECK(moves.second.count(Procedure::getattr) == 1);
  CHECK(moves.second.connections() == 0);
  CHECK(moves.lab.value("qatime_reconnects_total", moves.label(kSecond)) == -1);
  CHECK(moves.lab.value("qatime_server_window", moves.label(kSecond)) == -1);
  CHECK(moves.alerts().empty());
}

TEST_CASE("An address that left its name and does not answer is gone with all that was said of it") {
  Moves moves{{kFirst, kSecond}};
  REQUIRE(moves.lab.loop.run_until([&] { return moves.up(kFirst) == 1 && moves.up(kSecond) == 1; }));
  moves.second.stop();
  REQUIRE(moves.lab.loop.run_until([&] { return moves.up(kSecond) == 0; }));
  CHECK(moves.alerts() == std::vector<std::string>{"server"});
  moves.name.set({kFirst});
  REQUIRE(moves.wait_until_gone(kSecond));
  CHECK(moves.alerts().empty());
  CHECK(moves.lab.getattr(moves.lab.root()).status == Status::ok);
}

TEST_CASE("An address that left its name and refused an export takes that alert along") {
  Moves moves{{kFirst, kSecond}};
  moves.second.set_exports({"/another"});
  REQUIRE(moves.lab.loop.run_until([&] { return moves.up(kFirst) == 1 && moves.up(kSecond) == 1; }));
  CHECK(moves.alerts() == std::vector<std::string>{"mount"});
  moves.name.set({kFirst});
  REQUIRE(moves.wait_until_gone(kSecond));
  CHECK(moves.alerts().empty());
}

TEST_CASE("An address that left its name works on until another one answers") {
  Moves moves{{kSecond}};
  REQUIRE(moves.lab.wait_for_root());
  moves.first.stop();
  moves.name.set({kFirst});
  REQUIRE(moves.lab.loop.run_until([&] { return moves.up(kFirst) == 0; }));
  moves.lab.loop.run_for(1100ms);  // between two looks whether it may go
  CHECK(moves.lab.getattr(moves.lab.root()).status == Status::ok);
  CHECK(moves.second.count(Procedure::getattr) == 1);
  moves.first.start();
  REQUIRE(moves.wait_until_gone(kSecond));
  CHECK(moves.lab.getattr(moves.lab.root()).status == Status::ok);
}

TEST_CASE("An address that no route leads to is no trouble while its name has another") {
  Moves moves{{kNowhere, kFirst}};
  bool was_said = false;
  moves.lab.client->on_change([&] { was_said = was_said || !moves.alerts().empty(); });
  REQUIRE(moves.lab.wait_for_root());
  REQUIRE(moves.wait_for_lookups(3));
  CHECK_FALSE(was_said);
  CHECK(moves.up(kNowhere) == -1);
  CHECK(moves.lab.registry.sum("qatime_server_up") == 1);
}

TEST_CASE("A name of which no address can be reached is a trouble") {
  Moves moves{{kNowhere}};
  REQUIRE(moves.lab.loop.run_until([&] { return moves.lab.client->trouble(0).has_value(); }));
  CHECK(moves.up(kNowhere) == 0);
  CHECK(moves.alerts() == std::vector<std::string>{"server"});
}

TEST_CASE("A name that is gone is no trouble until one of its servers is away") {
  Moves moves{{kFirst}};
  REQUIRE(moves.lab.wait_for_root());
  const auto before = moves.name.lookups();
  REQUIRE(moves.wait_for_lookups(before + 2));
  moves.name.set({});
  REQUIRE(moves.wait_for_lookups(3));
  CHECK(moves.alerts().empty());
  CHECK(moves.lab.getattr(moves.lab.root()).status == Status::ok);
  moves.first.stop();
  REQUIRE(moves.lab.loop.run_until([&] { return std::ranges::count(moves.alerts(), "name") == 1; }));
  moves.first.start();
  moves.name.set({kFirst});
  REQUIRE(moves.lab.loop.run_until([&] { return moves.alerts().empty(); }));
}

}  // namespace
}  // namespace qatime::nfs::server_directory_test
