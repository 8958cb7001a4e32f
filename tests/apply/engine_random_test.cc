// SPDX-License-Identifier: MIT
// Thousands of accesses, moves and removals against a server that fails in
// every way, in an order drawn by lot. At the end every file has its newest
// time, no atime has moved backwards, nobody else's file was touched, no object
// had two SETATTRs at once, and the counters add up.
#include <algorithm>
#include <array>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "apply/stage.h"
#include "catch.h"

namespace qatime::apply::engine_random_test {
namespace {

using nfs::Status;

constexpr int kFiles = 400;
constexpr int kLinked = 10;      // files with two names
constexpr int kBystanders = 60;  // files that nobody accesses
constexpr int kDirectories = 7;  // for what moves, in each of the exports

class Storm {
 public:
  explicit Storm(unsigned seed) : random_{seed} {
    stage_.client.limit = 8;
    for (int i = 0; i < kFiles; ++i) {
      const std::string in = i < kFiles / 2 ? std::to_string(i % 7) + "/e" + std::to_string(i % 3) : "";
      make(i % 10 == 0 ? "/x/d/f" + std::to_string(i) : "/d" + in + "/f" + std::to_string(i));
    }
    for (int i = 0; i < kBystanders; ++i) {
      const std::string name = "bystander" + std::to_string(i);
      stage_.client.make_file((i % 2 == 0 ? "/d/" : "/d3/e1/") + name);
      stage_.client.bystanders.insert(name);
    }
    for (int i = 0; i < kLinked; ++i) {
      stage_.client.make_file(one_name(i));
      stage_.client.link(one_name(i), other_name(i));
    }
    // A server whose guards are coarse, and one whose file system moves the atime of a directory that is read.
    stage_.client.guards_by_seconds = seed % 4 == 1;
    if (seed % 3 == 1) stage_.client.reads_at = at(1'000'000);
    stage_.client.replies_are_slow = seed % 5 == 1;
    stage_.client.together = 1 + seed % 3;
    rage();
  }

  void blow(int turns) {
    for (int i = 0; i < turns; ++i) turn();
  }

  // Everything that may still happen does.
  void settle() {
    while (squashed_) turn();
    calm();
  }

  void check() {
    CAPTURE(stage_.client.violations);
    CHECK(stage_.client.violations.empty());
    CHECK(stage_.failed() == 0);
    CHECK(stage_.backlog.pending() == 0);
    CHECK((stage_.client.reads_at || stage_.client.count(Procedure::readdirplus) >= 10));
    CHECK(stage_.client.count(Procedure::getattr) >= 10);
    CHECK(stage_.engine.work() == 0);
    CHECK(stage_.adds_up());
    for (const auto& [path, time] : expected_) {
      INFO(path);
      CHECK(stage_.client.atime(path) == time);
    }
    for (const auto& [linked, time] : linked_) CHECK(stage_.client.atime(one_name(linked)) == time);
  }

 private:
  // Else a guard does not show what others set, and does not keep a request from being carried out late.
  [[nodiscard]] bool are_guards_exact() const { return !stage_.client.guards_by_seconds; }
  [[nodiscard]] bool one_in(unsigned n) { return random_() % n == 0; }
  [[nodiscard]] int draw(int below) { return static_cast<int>(random_() % static_cast<unsigned>(below)); }

  static std::string one_name(int linked) { return "/linked/a" + std::to_string(linked); }
  static std::string other_name(int linked) { return "/d5/e2/b" + std::to_string(linked); }

  void make(const std::string& path) {
    stage_.client.make_file(path);
    expected_[path] = Time{};
  }

  std::string new_place() {
    return (one_in(4) ? "/x/d" : "/d") + std::to_string(draw(kDirectories)) + "/new" + std::to_string(++names_);
  }

  void rage() {
    stage_.client.script = [this](const FakeClient::Request& request) { return mishap(request); };
  }

  // The weather clears up, until all work is done.
  void calm() {
    stage_.client.script = {};
    stage_.client.connected = true;
    hear_all();
    stage_.run_for(std::chrono::minutes{2});
    hear_all();
  }

  std::optional<Status> mishap(const FakeClient::Request& request) {
    if (squashed_ && request.procedure == Procedure::setattr) return Status::perm;
    if (!one_in(12)) return {};
    constexpr std::array kMishaps{Status::jukebox, Status::stale,       Status::badhandle, Status::io,
                                  Status::lost,    Status::serverfault, Status::timeout,   Status::dquot};
    return kMishaps.at(random_() % kMishaps.size());
  }

  void turn() {
    // Put right when both exports are known to be squashed: a denial that is
    // followed by a success is final.
    if (squashed_ && stage_.degraded("denied") == 2 && one_in(50)) squashed_ = false;
    const auto what = random_() % 10'000;
    if (what < 3950) {
      access();
    } else if (what < 3990) {
      burst();
    } else if (what < 4000) {
      walk();
    } else if (what < 4040) {
      move();
    } else if (what < 4060) {
      remove();
    } else if (what < 4080) {
      move_directory();
    } else if (what < 4084) {
      if (!squashed_) swap();
    } else if (what < 4130) {
      somebody_else();
    } else if (what < 4140) {
      leave_out();
    } else if (what < 4142) {
      if (stage_.degraded("denied") == 0) squashed_ = true;
    } else if (what < 4170) {
      stage_.client.disconnect();
    } else if (what < 4190) {
      stage_.client.disconnect();  // a restart
      stage_.client.forget_handles();
    } else if (what < 4350 && stage_.client.outstanding() > 0) {
      stage_.client.complete_oldest(Status::timeout, one_in(2) && are_guards_exact() ? FakeClient::Execution::late
                                                                                     : FakeClient::Execution::first);
    } else if (what < 4450) {
      stage_.client.deliver_late();
    } else if (what < 5000) {
      stage_.client.connected = true;
      stage_.clock.advance(std::chrono::milliseconds{random_() % 1000});
      hear_due();
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

  // Records come out of order, but within what has happened since the last
  // change of names.
  void access() {
    if (one_in(20)) return access_linked();
    auto file = expected_.find(hot_);
    if (file == expected_.end() || one_in(2)) file = any();
    if (one_in(50)) hot_ = file->first;
    seconds_ += 2;
    const int time = seconds_ - draw(2);
    stage_.access(file->first, time);
    file->second = std::max(file->second, at(time));
    if (one_in(3) && changed_ < time) stage_.access(file->first, changed_ + 1 + draw(time - changed_));
  }

  void access_linked() {
    const int linked = draw(kLinked);
    seconds_ += 2;
    for (const int time : {seconds_, seconds_ - 1}) {
      stage_.access(one_in(2) ? one_name(linked) : other_name(linked), time);
      linked_[linked] = std::max(linked_[linked], at(time));
    }
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

  // Names of one directory one by one, in its own order.
  void walk() {
    const std::string file = any()->first;
    const std::string directory = file.substr(0, file.rfind('/'));
    for (const auto& name : stage_.client.listing(directory)) {
      const std::string path = join(directory, name);
      if (!expected_.contains(path)) continue;
      access_again(path);
      stage_.clock.advance(std::chrono::milliseconds{1});
      stage_.engine.pump();
      for (int requests = draw(4); requests > 0; --requests) stage_.client.deliver_any(random_);
    }
  }

  // Whether other files need this directory where it is.
  static bool stays(std::string_view directory) {
    return is_within(other_name(0), directory) || is_within("/d/f", directory) || is_within("/x/d/f", directory);
  }

  // A change is heard of at once or soon; until then, accesses under the old
  // name are, too.
  void say(std::function<void()> record) {
    if (one_in(2)) return record();
    const auto delay = std::chrono::milliseconds{random_() % 500};
    unheard_.push_back({stage_.clock.now() + delay, std::move(record)});
  }
  void hear_due() {
    std::shuffle(unheard_.begin(), unheard_.end(), random_);
    std::erase_if(unheard_,
                  [&](const auto& each) { return each.first <= stage_.clock.now() && (each.second(), true); });
  }
  void hear_all() {
    for (const auto& [due, record] : std::exchange(unheard_, {})) record();
  }

  void say_moved(const std::string& from, const std::string& to, int seconds) {
    say([=, this] { stage_.backlog.add(std::array{Event{Move{from, to, at(seconds)}}}); });
  }

  void move() {
    const auto file = any();
    const std::string from = file->first;
    const std::string target = new_place();
    changed_ = seconds_ += 4;
    stage_.client.make_directory(target.substr(0, target.rfind('/')));
    stage_.client.rename(from, target);
    say_moved(from, target, changed_);
    Time time = file->second;
    if (one_in(2)) {
      stage_.access(from, changed_ - 1);  // which had it before
      time = std::max(time, at(changed_ - 1));
    }
    expected_.erase(file);
    expected_[target] = time;
  }

  void remove() {
    if (expected_.size() < 50) return;
    const auto file = any();
    const std::string path = file->first;
    changed_ = seconds_ += 2;
    stage_.client.remove(path);
    say([=, this, seconds = changed_] { stage_.backlog.add(std::array{Event{Removal{path, false, at(seconds)}}}); });
    expected_.erase(file);
  }

  void move_directory() {
    const std::string from = any()->first;
    const std::string directory = from.substr(0, from.rfind('/'));
    if (stays(directory)) return;
    const std::string target = (one_in(4) ? "/x/dir" : "/dir") + std::to_string(++names_);
    changed_ = seconds_ += 2;
    stage_.client.rename(directory, target);
    say_moved(directory, target, changed_);
    rename_expected(directory, target);
  }

  void rename_expected(const std::string& from, const std::string& to) {
    std::map<std::string, Time> moved;
    for (auto at = expected_.begin(); at != expected_.end();) {
      if (!is_within(at->first, from)) {
        ++at;
        continue;
      }
      moved[rebase(at->first, from, to)] = at->second;
      at = expected_.erase(at);
    }
    expected_.merge(moved);
  }

  // Two files, or two directories, get each other's names, whatever is in flight. It is heard at once: until then
  // nobody can tell whose name it was.
  void swap() {
    hear_all();
    std::string one = any()->first;
    std::string two = any()->first;
    access_again(one);
    access_again(two);
    stage_.engine.pump();
    for (int requests = draw(20); requests > 0; --requests) stage_.client.deliver_any(random_);
    if (one_in(2)) {
      one = one.substr(0, one.rfind('/'));
      two = two.substr(0, two.rfind('/'));
    }
    const bool can = !is_within(one, two) && !is_within(two, one) && !stays(one) && !stays(two);
    for (const auto& [from, to] : {std::pair{one, std::string{"/swap"}}, {two, one}, {"/swap", two}}) {
      if (!can) break;
      changed_ = seconds_ += 2;
      stage_.moved(from, to, changed_);
      rename_expected(from, to);
    }
  }

  void access_again(const std::string& path) {
    stage_.access(path, seconds_ += 2);
    expected_[path] = at(seconds_);
  }

  // Another client writes a file, or reads it and the server updates its atime
  // natively.
  void somebody_else() {
    const auto file = any();
    if (one_in(2) || !are_guards_exact()) return stage_.client.touch_ctime(file->first);
    seconds_ += 2;
    if (stage_.client.atime(file->first) > at(seconds_)) return;
    stage_.client.set_atime_of(file->first, at(seconds_));
    file->second = std::max(file->second, at(seconds_));
  }

  // Attributes that a server need not send.
  void leave_out() {
    stage_.client.attributes_in_lookup = one_in(2);
    stage_.client.attributes_in_setattr = one_in(2);
    stage_.client.attributes_in_pages = one_in(2);
    stage_.client.handles_in_pages = !one_in(4);
  }

  std::minstd_rand random_;
  Stage stage_{std::vector<std::string>{"/", "/x"}};
  std::string hot_;  // the path of every other access, for a while
  std::map<std::string, Time> expected_;
  std::map<int, Time> linked_;
  std::deque<std::pair<Clock::Instant, std::function<void()>>> unheard_;
  bool squashed_ = false;
  int seconds_ = 10'000;
  int changed_ = 0;  // when names were last changed
  int names_ = 0;
};

TEST_CASE("AStormOfFailuresLosesNothing", "[apply]") {
  const unsigned seed = GENERATE(range(1U, 41U));
  INFO("seed " << seed);
  Storm storm{seed};
  storm.blow(20'000);
  storm.settle();
  storm.check();
}

}  // namespace
}  // namespace qatime::apply::engine_random_test
