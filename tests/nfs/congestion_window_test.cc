// SPDX-License-Identifier: MIT
// The window in front of a simulated server: a line of requests, each served for a while, and a network around it.
#include "nfs/congestion_window.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <queue>
#include <random>

#include "catch.h"

namespace qatime::nfs::congestion_window_test {
namespace {

using namespace std::chrono_literals;
using std::chrono::nanoseconds;

class Simulation {
 public:
  explicit Simulation(std::size_t most, nanoseconds service, nanoseconds network, bool random = true)
      : window{most}, service_{service}, network_{network}, random_{random} {}

  // A client that always has work, for so long; returns how many requests ended.
  std::size_t run(nanoseconds duration) {
    const auto end = now_ + duration;
    std::size_t ended = 0;
    for (fill(); !under_way_.empty() && under_way_.top().arrival <= end; fill()) {
      const auto kind = updates ? CongestionWindow::Kind::update : CongestionWindow::Kind::read;
      const Request request = under_way_.top();
      under_way_.pop();
      now_ = request.arrival;
      if (request.put_off) {
        window.overloaded(kind, request.started, now_);
      } else {
        window.answered(kind, now_);
        window.succeeded(kind, request.started, now_, request.in_flight);
      }
      ++ended;
    }
    now_ = end;
    return ended;
  }

  [[nodiscard]] std::size_t in_flight() const { return under_way_.size(); }

  CongestionWindow window;
  double slowness = 1;
  bool updates = true;
  std::size_t demand = SIZE_MAX;  // of the client
  unsigned put_off_one_in = 0;
  std::optional<std::size_t> fixed;  // instead of the window

 private:
  struct Request {
    Clock::Instant started;
    Clock::Instant arrival;  // of its reply
    std::size_t in_flight = 0;
    bool put_off = false;
    friend bool operator<(const Request& a, const Request& b) { return a.arrival > b.arrival; }
  };

  void fill() {
    while (under_way_.size() < std::min(fixed.value_or(window.limit()), demand)) {
      free_ = std::max(free_, now_ + network_ / 2) + service();
      const bool put_off = put_off_one_in != 0 && generator_() % put_off_one_in == 0;
      under_way_.push({now_, free_ + network_ / 2, under_way_.size() + 1, put_off});
    }
  }

  nanoseconds service() {
    double factor = slowness;
    if (random_) factor *= std::exponential_distribution<>{}(generator_);
    return nanoseconds{static_cast<std::int64_t>(factor * static_cast<double>(service_.count()))};
  }

  nanoseconds service_;
  nanoseconds network_;
  bool random_;
  std::minstd_rand generator_{1};
  Clock::Instant now_{1h};
  Clock::Instant free_{};  // when the server has done what it has
  std::priority_queue<Request> under_way_;
};

// Servers that differ in what bounds them.
struct Make {
  nanoseconds service;
  nanoseconds network;
};
const Make kBusy{25us, 50us};  // its processor
const Make kFar{10us, 20ms};   // the way to it
const Make kBoth{200us, 1ms};  // each in part
const Make kSlow{5ms, 200us};  // its disk

TEST_CASE("ASteadyServerGetsTheMostAndLosesNothing", "[nfs]") {
  const Make make = GENERATE(kBusy, kFar, kBoth, kSlow);
  const bool random = GENERATE(false, true);
  CAPTURE(make.service.count(), make.network.count(), random);
  Simulation adaptive{64, make.service, make.network, random};
  Simulation fixed{64, make.service, make.network, random};
  fixed.fixed = 64;
  const auto ours = adaptive.run(30s);
  const auto theirs = fixed.run(30s);
  CHECK(adaptive.window.limit() == 64);
  CHECK(static_cast<double>(ours) >= 0.97 * static_cast<double>(theirs));
}

TEST_CASE("AServerThatGetsSlowHasFewRequestsWithinSecondsAndTheMostAgainWhenItIsWell", "[nfs]") {
  const Make make = GENERATE(kBusy, kBoth, kSlow);
  CAPTURE(make.service.count(), make.network.count());
  Simulation simulation{64, make.service, make.network};
  simulation.run(20s);
  REQUIRE(simulation.window.limit() == 64);
  simulation.slowness = 10;
  simulation.run(10s);
  CHECK(simulation.window.limit() <= 8);
  simulation.run(60s);
  CHECK(simulation.window.limit() <= 8);
  simulation.slowness = 1;
  simulation.run(10s);
  CHECK(simulation.window.limit() == 64);
}

TEST_CASE("AServerThatStaysSlowIsTakenForWhatItIsAfterMinutes", "[nfs]") {
  Simulation simulation{64, 200us, 1ms};
  simulation.run(20s);
  simulation.slowness = 10;
  simulation.run(2min);
  CHECK(simulation.window.limit() <= 8);
  simulation.run(10min);
  CHECK(simulation.window.limit() == 64);
}

TEST_CASE("HalfTheSpeedIsNoTrouble", "[nfs]") {
  Simulation simulation{64, 25us, 50us};
  simulation.run(20s);
  simulation.slowness = 2;
  simulation.run(20s);
  CHECK(simulation.window.limit() == 64);
}

TEST_CASE("RequestsThatArePutOffHalveTheWindowOncePerRoundTrip", "[nfs]") {
  const auto begin = Clock::Instant{1h};
  Simulation simulation{64, 25us, 50us};
  simulation.run(20s);
  CongestionWindow& window = simulation.window;
  REQUIRE(window.limit() == 64);
  const auto decreased = begin + 1min;
  for (int i = 0; i < 64; ++i) window.overloaded(CongestionWindow::Kind::read, decreased - 1ms, decreased);
  CHECK(window.limit() == 32);
  window.overloaded(CongestionWindow::Kind::read, decreased, decreased + 1ms);
  CHECK(window.limit() == 16);
  for (int i = 0; i < 10; ++i) window.overloaded(CongestionWindow::Kind::read, decreased + i * 1s, decreased + i * 1s);
  CHECK(window.limit() == CongestionWindow::kLeast);
}

TEST_CASE("AServerThatPutsOffOneInTenHasFewRequests", "[nfs]") {
  Simulation simulation{64, 200us, 1ms};
  simulation.run(5s);
  simulation.put_off_one_in = 10;
  simulation.run(5s);
  CHECK(simulation.window.limit() <= 16);
  simulation.put_off_one_in = 0;
  simulation.run(5s);
  CHECK(simulation.window.limit() == 64);
}

TEST_CASE("ItBeginsWithFewAndDoublesPerRoundTripAtMost", "[nfs]") {
  Simulation simulation{64, 1us, 20ms, false};
  const bool again = GENERATE(false, true);
  if (again) {
    simulation.run(5s);
    simulation.demand = 0;
    simulation.run(1s);
    simulation.demand = SIZE_MAX;
    simulation.window.restart();
  }
  std::size_t most = CongestionWindow::kLeast;
  for (simulation.run(1ms); most <= 64; most *= 2) {
    CHECK(simulation.in_flight() <= most);
    CHECK(simulation.in_flight() > most / 2);
    simulation.run(20ms);
  }
}

TEST_CASE("AWindowThatIsNotUsedDoesNotGrow", "[nfs]") {
  Simulation simulation{64, 1us, 20ms};
  simulation.demand = 3;
  simulation.run(60s);
  CHECK(simulation.window.limit() <= 8);
}

TEST_CASE("ReadsAloneLetItGrowToo", "[nfs]") {
  Simulation simulation{64, 200us, 1ms};
  simulation.updates = false;
  simulation.run(5s);
  CHECK(simulation.window.limit() == 64);
  simulation.slowness = 10;  // they differ too much to be compared
  simulation.run(5s);
  CHECK(simulation.window.limit() == 64);
}

TEST_CASE("ASmallMostIsTheLeast", "[nfs]") {
  for (const std::size_t most : {1U, 3U, 4U, 5U}) {
    Simulation simulation{most, 200us, 1ms};
    CHECK(simulation.window.limit() == std::min(most, CongestionWindow::kLeast));
    simulation.run(5s);
    CHECK(simulation.window.limit() == most);
    simulation.slowness = 100;
    simulation.run(20s);
    CHECK(simulation.window.limit() == std::min(most, CongestionWindow::kLeast));
  }
}

TEST_CASE("Another bound holds at once, and the window grows to it") {
  Simulation simulation{64, 10us, 200us};
  simulation.run(3s);
  REQUIRE(simulation.window.limit() == 64);
  simulation.window.set_most(20);
  CHECK(simulation.window.limit() == 20);
  simulation.run(3s);
  CHECK(simulation.window.limit() == 20);
  simulation.window.set_most(256);
  simulation.run(5s);
  CHECK(simulation.window.limit() == 256);
  simulation.window.set_most(2);
  CHECK(simulation.window.limit() == 2);
  simulation.window.set_most(64);
  CHECK(simulation.window.limit() == 4);
}

}  // namespace
}  // namespace qatime::nfs::congestion_window_test
