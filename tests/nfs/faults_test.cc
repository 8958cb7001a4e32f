// SPDX-License-Identifier: MIT
// What servers and networks do to connections and requests, over real sockets.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "catch.h"
#include "nfs/congestion_window.h"
#include "nfs/lab.h"
#include "nfs/rpc.h"

namespace qatime::nfs::faults_test {
namespace {

using namespace std::chrono_literals;
using testing::kTime;
using testing::kTimeout;
using testing::Lab;
using testing::Loop;
using testing::Procedure;
using testing::ScriptedServer;
using testing::slowly;
using Fault = testing::Action::Fault;

// ---- connections

// From a new connection to the first atime that is set, however often that takes.
class Journey {
 public:
  Journey(Loop& loop, std::chrono::milliseconds timeout) : client_{loop.io(), server.config(timeout), registry_} {
    server.add_file("/f");
    client_.on_change([this] { go(); });
  }
  [[nodiscard]] bool is_over() const { return over_; }
  [[nodiscard]] bool has_set() const { return server.times("/f").atime == kTime; }
  [[nodiscard]] std::int64_t reconnects() const { return registry_.sum("qatime_reconnects_total"); }
  [[nodiscard]] const std::vector<Status>& met() const { return met_; }  // on the way

  ScriptedServer server;

 private:
  void go() {
    if (over_ || under_way_ || !client_.root(0)) return;
    under_way_ = true;
    client_.lookup(0, *client_.root(0), "f", [this](Status status, const Object& object) {
      if (status != Status::ok) return failed(status);
      client_.set_atime(0, object.handle, kTime, object.attributes->ctime, [this](Status outcome, const auto&) {
        over_ = outcome == Status::ok;
        if (!over_) failed(outcome);
      });
    });
  }
  void failed(Status status) {
    met_.push_back(status);
    under_way_ = false;
    go();
  }

  metrics::Registry registry_;
  LibnfsClient client_;
  bool under_way_ = false;
  bool over_ = false;
  std::vector<Status> met_;
};

constexpr std::size_t kAtOnce = 32;  // journeys, each with a server and its thread

// Makes `count` journeys; `before` and `after` are told which. `timeout` is nfs.timeout.
template <class Before, class After>
void travel(std::size_t count, std::chrono::milliseconds timeout, Before before, After after) {
  for (std::size_t first = 0; first < count; first += kAtOnce) {
    Loop loop;
    std::vector<std::unique_ptr<Journey>> journeys;
    for (std::size_t each = first; each < std::min(first + kAtOnce, count); ++each) {
      journeys.push_back(std::make_unique<Journey>(loop, timeout));
      before(*journeys.back(), each);
    }
    CHECK(loop.run_until([&] {
      return std::all_of(journeys.begin(), journeys.end(), [](const auto& journey) { return journey->is_over(); });
    }));
    for (std::size_t each = 0; each < journeys.size(); ++each) {
      CAPTURE(first + each);
      CHECK(journeys[each]->is_over());
      CHECK(journeys[each]->has_set());
      after(*journeys[each], first + each);
    }
  }
}

TEST_CASE("A connection that ends before any byte of its replies is got over") {
  constexpr std::chrono::minutes kNever{1};  // no request is to time out
  std::size_t bytes = 0;
  travel(
      1, kNever, [](Journey&, std::size_t) {},
      [&](const Journey& journey, std::size_t) { bytes = journey.server.bytes_sent(); });
  CHECK(bytes > 300);
  travel(
      bytes, kNever, [](Journey& journey, std::size_t cut) { journey.server.cut_replies(cut); },
      [](const Journey& journey, std::size_t) {
        CHECK(journey.reconnects() == 1);
        for (const Status status : journey.met()) CHECK(status == Status::lost);
      });
}

TEST_CASE("What no server should do is got over at any step from connecting to the first atime") {
  constexpr std::array kSteps{Procedure::mnt, Procedure::null, Procedure::lookup, Procedure::setattr};
  constexpr std::array kFaults{Fault::silence,          Fault::execute_silently, Fault::drop,
                               Fault::execute_and_drop, Fault::garbage,          Fault::noise,
                               Fault::truncate,         Fault::wrong_xid,        Fault::short_mark,
                               Fault::long_mark,        Fault::huge_mark};
  travel(
      kSteps.size() * kFaults.size(), slowly(1s),
      [&](Journey& journey, std::size_t each) {
        journey.server.script(kSteps.at(each % kSteps.size()), {kFaults.at(each / kSteps.size())}, 2);
      },
      [](const Journey&, std::size_t) {});
}

TEST_CASE("A reply in pieces is a reply") {
  constexpr std::array kSteps{Procedure::mnt, Procedure::null, Procedure::lookup, Procedure::setattr};
  travel(
      2 * kSteps.size(), slowly(1s),
      [&](Journey& journey, std::size_t each) {
        journey.server.script(kSteps.at(each / 2), {each % 2 == 0 ? Fault::fragments : Fault::dribble});
      },
      [](const Journey& journey, std::size_t) {
        CHECK(journey.met().empty());
        CHECK(journey.reconnects() == 0);
      });
}

TEST_CASE("Without a server requests are lost, not forgotten") {
  ScriptedServer server;
  const auto config = server.config();
  server.stop();
  Lab lab{config};
  CHECK(lab.client->room(0) == 0);
  CHECK(lab.lookup(Handle{std::string_view{"h"}}, "f").status == Status::lost);
  CHECK(lab.getattr(Handle{std::string_view{"h"}}).status == Status::lost);
  CHECK(lab.set_atime(Handle{std::string_view{"h"}}, kTime).status == Status::lost);
}

TEST_CASE("A server that is not there is found when it comes, and says meanwhile what is wrong") {
  ScriptedServer server;
  const auto config = server.config();
  server.stop();
  Lab lab{config};
  REQUIRE(lab.loop.run_until([&] { return lab.client->trouble(0).has_value(); }));
  CHECK(lab.client->trouble(0)->find("refused") != std::string::npos);
  CHECK(lab.client->trouble(0)->find("127.0.0.1:" + std::to_string(config.port)) == 0);
  server.start();
  REQUIRE(lab.wait_for_root());
  CHECK_FALSE(lab.client->trouble(0));
  CHECK(lab.value("qatime_reconnects_total", "127.0.0.1:" + std::to_string(config.port)) >= 1);
}

TEST_CASE("What is outstanding when the connection drops is lost, and the connection comes back") {
  ScriptedServer server;
  const auto fault = GENERATE(Fault::drop, Fault::execute_and_drop);
  Lab lab{server};
  const Handle root = lab.root();
  server.script(Procedure::setattr, {Fault::silence}, 2);
  server.script(Procedure::setattr, {fault}, 1);
  std::vector<Status> statuses;
  std::vector<std::size_t> rooms;
  for (int count = 0; count < 3; ++count) {
    lab.client->set_atime(0, root, kTime, {}, [&](Status status, const auto&) {
      statuses.push_back(status);
      rooms.push_back(lab.client->room(0));
    });
  }
  REQUIRE(lab.loop.run_until([&] { return statuses.size() == 3; }));
  CHECK(statuses == std::vector(3, Status::lost));
  CHECK(rooms == std::vector<std::size_t>(3, 0));
  CHECK(lab.set_atime(lab.root(), kTime).status == Status::ok);
}

TEST_CASE("Connections that are closed as soon as they are accepted are got over") {
  ScriptedServer server;
  server.close_new_connections(true);
  Lab lab{server};
  REQUIRE(lab.loop.run_until([&] { return lab.client->trouble(0).has_value(); }));
  CHECK(lab.client->trouble(0)->find("MOUNT") != std::string::npos);
  server.close_new_connections(false);
  CHECK(lab.getattr(lab.root()).status == Status::ok);
}

TEST_CASE("A reply that is late is a timeout, and the connection is kept") {
  ScriptedServer server;
  Lab lab{server, kTimeout};
  const Handle root = lab.root();
  for (std::size_t round = 0; round < 2; ++round) {
    server.script(Procedure::getattr, {Fault::none, {}, kTimeout * 3 / 2}, 1);
    CHECK(lab.getattr(root).status == Status::timeout);
    REQUIRE(lab.loop.run_until([&] { return server.late() == round + 1; }));
    lab.loop.run_for(slowly(50ms));  // the late reply belongs to nobody
  }
  CHECK(lab.getattr(root).status == Status::ok);
  CHECK(server.requests().back().connection == 2);
}

TEST_CASE("A server that swallows one request in many loses no connection") {
  ScriptedServer server;
  Lab lab{server, kTimeout};
  const Handle root = lab.root();
  server.script(Procedure::setattr, {Fault::silence});
  for (int round = 0; round < 3; ++round) {
    std::optional<Status> swallowed;
    lab.client->set_atime(0, root, kTime, {}, [&](Status status, const auto&) { swallowed = status; });
    while (!swallowed) CHECK(lab.getattr(root).status == Status::ok);
    CHECK(*swallowed == Status::timeout);
  }
  CHECK(lab.getattr(root).status == Status::ok);
  CHECK(server.requests().back().connection == 2);
}

TEST_CASE("A server that swallows several requests at once but answers others loses no connection") {
  ScriptedServer server;
  Lab lab{server, kTimeout};
  const Handle root = lab.root();
  lab.grow(64);
  server.script(Procedure::setattr, {Fault::silence});
  int swallowed = 0;
  for (int count = 0; count < 10; ++count)
    lab.client->set_atime(0, root, kTime, {}, [&](Status, const auto&) { ++swallowed; });
  while (swallowed < 10) CHECK(lab.getattr(root).status == Status::ok);
  CHECK(lab.getattr(root).status == Status::ok);
  CHECK(server.requests().back().connection == 2);
}

TEST_CASE("A server that swallows half of what a connection takes is left, though it answers the rest") {
  constexpr std::size_t kMost = Rpc::kMaxOutstanding / 2;
  ScriptedServer server;
  auto config = server.config(kTimeout);
  config.max_in_flight = kMost;
  Lab lab{config};
  lab.grow(kMost);
  const Handle root = lab.root();
  server.script(Procedure::setattr, {Fault::silence});
  std::size_t swallowed = 0;
  for (std::size_t count = 0; count < kMost; ++count)
    lab.client->set_atime(0, root, kTime, {}, [&](Status, const auto&) { ++swallowed; });
  while (swallowed < kMost) (void)lab.getattr(root);
  CHECK(lab.getattr(lab.root()).status == Status::ok);
  CHECK(server.requests().back().connection > 2);
}

TEST_CASE("A server that answers nothing any more is left, and tried again") {
  ScriptedServer server;
  Lab lab{server, kTimeout};
  const Handle root = lab.root();
  server.script(Procedure::getattr, {Fault::silence});
  std::vector<Status> statuses;
  for (int count = 0; count < 2; ++count) {
    lab.client->getattr(0, root, [&](Status status, const auto&) { statuses.push_back(status); });
  }
  lab.loop.run_for(kTimeout / 2);
  lab.client->getattr(0, root, [&](Status status, const auto&) { statuses.push_back(status); });
  REQUIRE(lab.loop.run_until([&] { return statuses.size() == 3; }));
  CHECK(statuses == std::vector{Status::timeout, Status::timeout, Status::lost});
  server.clear_scripts();
  CHECK(lab.getattr(lab.root()).status == Status::ok);
  CHECK(server.requests().back().connection > 2);
}

TEST_CASE("Work goes to the server that answers while another is away, and to both when it is back") {
  ScriptedServer first;
  ScriptedServer second;
  auto config = first.config();  // MOUNT is the first one's for both; their trees are alike
  config.servers = {{"127.0.0.1", first.port()}, {"127.0.0.1", second.port()}};
  Lab lab{config};
  REQUIRE(lab.loop.run_until([&] { return lab.client->room(0) == 2 * CongestionWindow::kLeast; }));
  lab.grow(128);
  second.stop();
  REQUIRE(lab.loop.run_until([&] { return lab.client->room(0) == 64; }));
  for (int count = 0; count < 10; ++count) CHECK(lab.getattr(lab.root()).status == Status::ok);
  CHECK(lab.value("qatime_server_up", "127.0.0.1:" + std::to_string(first.port())) == 1);
  CHECK(lab.value("qatime_server_up", "127.0.0.1:" + std::to_string(second.port())) == 0);
  second.start();
  REQUIRE(lab.loop.run_until([&] { return lab.client->room(0) == 64 + CongestionWindow::kLeast; }));
  lab.grow(128);
  const auto before = second.count(Procedure::getattr);
  std::size_t completed = 0;
  const Handle root = lab.root();
  for (int count = 0; count < 20; ++count) lab.client->getattr(0, root, [&](Status, const auto&) { ++completed; });
  REQUIRE(lab.loop.run_until([&] { return completed == 20; }));
  CHECK(second.count(Procedure::getattr) == before + 10);
}

// ---- several servers, late servers

TEST_CASE("A server that comes and goes takes nothing from another") {
  ScriptedServer steady;
  ScriptedServer flapping;
  auto config = steady.config();  // MOUNT is the steady one's for both; their trees are alike
  config.servers = {{"127.0.0.1", steady.port()}, {"127.0.0.1", flapping.port()}};
  Lab lab{config};
  lab.grow(128);
  const Handle root = lab.root();
  bool stop = false;
  std::size_t started = 0;
  std::map<Status, std::size_t> ended;
  const auto fill = [&] {
    for (; !stop && lab.client->room(0) > 0; ++started) {
      lab.client->getattr(0, root, [&](Status status, const auto&) { ++ended[status]; });
    }
  };
  const auto goes_on = [&] {
    const auto enough = steady.count(Procedure::getattr) + 500;
    return lab.loop.run_until([&] { return fill(), steady.count(Procedure::getattr) >= enough; });
  };
  for (int round = 0; round < 5; ++round) {
    REQUIRE(goes_on());
    flapping.stop();
    REQUIRE(goes_on());
    flapping.start();
  }
  stop = true;
  REQUIRE(lab.loop.run_until([&] { return ended[Status::ok] + ended[Status::lost] == started; }));
  CHECK(ended.size() == 2);
  CHECK(ended[Status::lost] <= 5 * 64);  // what the other had
  CHECK(flapping.count(Procedure::getattr) > 0);
}

TEST_CASE("What a hung server executes late undoes nothing, being guarded") {
  const bool guarded = GENERATE(true, false);
  ScriptedServer server;
  server.add_file("/f");
  Lab lab{server, kTimeout};
  const Object before = lab.lookup(lab.root(), "f").object;
  server.script(Procedure::setattr, {Fault::none, {}, kTimeout * 3}, 1);
  const auto guard = [&](const Object& object) {
    return guarded ? std::optional{object.attributes.value().ctime} : std::nullopt;
  };
  CHECK(lab.set_atime(before.handle, kTime, guard(before)).status == Status::timeout);
  const Object again = lab.lookup(lab.root(), "f").object;
  const Time newer = kTime + 1h;
  CHECK(lab.set_atime(again.handle, newer, guard(again)).status == Status::ok);
  REQUIRE(lab.loop.run_until([&] { return server.late() == 1; }));
  CHECK(server.times("/f").atime == (guarded ? newer : kTime));
}

}  // namespace
}  // namespace qatime::nfs::faults_test
