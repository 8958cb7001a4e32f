// SPDX-License-Identifier: MIT
// Thousands of accesses, moves and removals against a server that fails in every way, in an order drawn by lot. At the
// end every file has its newest time, no atime has moved backwards, no object had two SETATTRs at once, and the
// counters add up.
#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "apply/stage.h"
#include "catch.h"

namespace qatime::apply {
namespace {

using nfs::Status;

class Storm {
 public:
  explicit Storm(unsigned seed) : random_{seed} {
    stage_.client.limit = 8;
    for (int i = 0; i < 400; ++i) {
      const std::string in = i < 200 ? std::to_string(i % 7) + "/e" + std::to_string(i % 3) : "";
      const std::string path = "/d" + in + "/f" + std::to_string(i);
      stage_.client.make_file(path);
      expected_[path] = Time{};
    }
    stage_.client.script = [this](const FakeClient::Request&) { return mishap(); };
  }

  void blow(int turns) {
    for (int i = 0; i < turns; ++i) turn();
  }

  void settle() {
    stage_.client.script = {};
    stage_.client.connected = true;
    stage_.run_for(std::chrono::minutes{2});
  }

  void check() {
    CAPTURE(stage_.client.violations);
    CHECK(stage_.client.violations.empty());
    CHECK(stage_.failed() == 0);
    CHECK(stage_.backlog.pending() == 0);
    CHECK(stage_.client.count(Procedure::readdirplus) >= 10);
    CHECK(stage_.engine.work() == 0);
    CHECK(stage_.adds_up());
    for (const auto& [path, time] : expected_) {
      INFO(path);
      CHECK(stage_.client.atime(path) == time);
    }
  }

 private:
  [[nodiscard]] bool one_in(unsigned n) { return random_() % n == 0; }
  [[nodiscard]] int draw(int below) { return static_cast<int>(random_() % static_cast<unsigned>(below)); }

  std::optional<Status> mishap() {
    if (!one_in(12)) return {};
    constexpr std::array kMishaps{Status::jukebox, Status::stale,       Status::badhandle, Status::io,
                                  Status::lost,    Status::serverfault, Status::timeout};
    return kMishaps.at(random_() % kMishaps.size());
  }

  void turn() {
    const auto what = random_() % 1000;
    if (what < 395) {
      access();
    } else if (what < 400) {
      burst();
    } else if (what < 405) {
      move();
    } else if (what < 407) {
      remove();
    } else if (what < 409) {
      move_directory();
    } else if (what < 412) {
      stage_.client.disconnect();
    } else if (what < 414) {
      stage_.client.disconnect();  // a restart
      stage_.client.forget_handles();
    } else if (what < 430 && stage_.client.outstanding() > 0) {
      stage_.client.complete_oldest(Status::timeout,
                                    one_in(2) ? FakeClient::Execution::late : FakeClient::Execution::first);
    } else if (what < 440) {
      stage_.client.deliver_late();
    } else if (what < 500) {
      stage_.client.connected = true;
      stage_.clock.advance(std::chrono::milliseconds{random_() % 1000});
      stage_.engine.pump();
    } else {
      stage_.client.deliver_any(random_);
    }
  }

  std::map<std::string, Time>::iterator any() {
    auto at = expected_.begin();
    std::advance(at, static_cast<std::ptrdiff_t>(random_() % expected_.size()));
    return at;
  }

  // Records come out of order, but within what has happened since the last change of names.
  void access() {
    auto file = expected_.find(hot_);
    if (file == expected_.end() || one_in(2)) file = any();
    if (one_in(50)) hot_ = file->first;
    seconds_ += 2;
    const int time = seconds_ - draw(2);
    stage_.access(file->first, time);
    file->second = std::max(file->second, at(time));
    if (one_in(3) && changed_ < time) stage_.access(file->first, changed_ + 1 + draw(time - changed_));
  }

  // Many names of one directory at once, so that it is read.
  void burst() {
    const std::string file = any()->first;
    const std::string directory = file.substr(0, file.rfind('/') + 1);
    seconds_ += 2;
    for (auto& [path, time] : expected_) {
      if (!path.starts_with(directory)) continue;
      stage_.access(path, seconds_);
      time = at(seconds_);
    }
  }

  void move() {
    const auto file = any();
    const std::string target = "/d" + std::to_string(random_() % 7) + "/new" + std::to_string(++names_);
    const Time time = file->second;
    stage_.moved(file->first, target, changed_ = seconds_ += 2);
    expected_.erase(file);
    expected_[target] = time;
  }

  void remove() {
    if (expected_.size() < 50) return;
    const auto file = any();
    stage_.removed(file->first, changed_ = seconds_ += 2);
    expected_.erase(file);
  }

  void move_directory() {
    const std::string from = any()->first;
    const std::string directory = from.substr(0, from.rfind('/'));
    const std::string target = "/dir" + std::to_string(++names_);
    stage_.moved(directory, target, changed_ = seconds_ += 2);
    std::map<std::string, Time> moved;
    for (auto at = expected_.begin(); at != expected_.end();) {
      if (!is_within(at->first, directory)) {
        ++at;
        continue;
      }
      moved[rebase(at->first, directory, target)] = at->second;
      at = expected_.erase(at);
    }
    expected_.merge(moved);
  }

  std::minstd_rand random_;
  Stage stage_;
  std::string hot_;  // the path of every other access, for a while
  std::map<std::string, Time> expected_;
  int seconds_ = 10'000;
  int changed_ = 0;  // when names were last changed
  int names_ = 0;
};

TEST_CASE("AStormOfFailuresLosesNothing", "[apply]") {
  const unsigned seed = GENERATE(1U, 2U, 3U, 4U, 5U, 6U, 7U, 8U, 9U, 10U);
  INFO("seed " << seed);
  Storm storm{seed};
  storm.blow(20'000);
  storm.settle();
  storm.check();
}

}  // namespace
}  // namespace qatime::apply
