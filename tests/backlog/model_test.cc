// SPDX-License-Identifier: MIT
// The local backlog beside the truth: all events replayed in the order in which they happened. Whatever the order in
// which they come, an access is pending where its object is by all changes that have come, and nowhere else.
#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "backlog/local.h"
#include "catch.h"
#include "manual_clock.h"

namespace qatime::backlog::model_test {

using namespace std::chrono_literals;

namespace {

// An event that owns its paths.
struct Happening {
  enum class Kind { access, move, removal, tree_removal };
  Kind kind = Kind::access;
  int time = 0;  // milliseconds
  std::string path;
  std::string target;

  [[nodiscard]] Time at() const { return Time{std::chrono::milliseconds{time}}; }
  [[nodiscard]] Event event() const {
    if (kind == Kind::access) return Access{path, at()};
    if (kind == Kind::move) return Move{path, target, at()};
    return Removal{path, kind == Kind::tree_removal, at()};
  }
  [[nodiscard]] std::string text() const {
    constexpr std::array kNames{"access", "move", "remove", "remove-tree"};
    return std::to_string(time) + ' ' + kNames.at(static_cast<std::size_t>(kind)) + ' ' + path + ' ' + target;
  }
};
using Happenings = std::vector<Happening>;
using Kind = Happening::Kind;
using Pending = std::map<std::string, int>;

std::string text(const Happenings& happenings) {
  std::string all;
  for (const auto& happening : happenings) all += happening.text() + '\n';
  return all;
}

bool changes_nothing(const Happening& move) {
  return is_within(move.path, move.target) || is_within(move.target, move.path);
}

void replay(const Happening& what, Pending& pending) {
  if (what.kind == Kind::access) {
    int& newest = pending.try_emplace(what.path, what.time).first->second;
    newest = std::max(newest, what.time);
  } else if (what.kind != Kind::move) {
    std::erase_if(pending, [&](const auto& entry) {
      return what.kind == Kind::tree_removal ? is_within(entry.first, what.path) : entry.first == what.path;
    });
  } else if (!changes_nothing(what)) {
    std::erase_if(pending, [&](const auto& entry) { return is_within(entry.first, what.target); });
    Pending moved;
    for (const auto& [path, time] : pending) {
      moved[is_within(path, what.path) ? rebase(path, what.path, what.target) : path] = time;
    }
    pending = std::move(moved);
  }
}

// Without the changes that had come before.
Happenings once(const Happenings& happenings) {
  Happenings found;
  std::set<std::string> known;
  for (const Happening& one : happenings) {
    if (one.kind == Kind::access || known.insert(one.text()).second) found.push_back(one);
  }
  return found;
}

// The accesses that are pending in the end. At one time, accesses come first, then changes in their order. A happening
// may have come twice.
Pending truth(const Happenings& arrivals, const Exports& exports) {
  Happenings happenings = once(arrivals);
  std::stable_sort(happenings.begin(), happenings.end(), [](const Happening& a, const Happening& b) {
    return std::pair{a.time, a.kind != Kind::access} < std::pair{b.time, b.kind != Kind::access};
  });
  Pending pending;
  for (const Happening& happening : happenings) replay(happening, pending);
  std::erase_if(pending, [&](const auto& entry) { return !exports.place(entry.first); });
  return pending;
}

int milliseconds(Time time) { return static_cast<int>(time.time_since_epoch() / 1ms); }

class Run {
 public:
  explicit Run(std::vector<std::string> exports = {"/"})
      : exports_{std::move(exports)}, local_{BacklogConfig{}, exports_, clock_, registry_} {}

  void add(const Happening& happening) {
    const Event event = happening.event();
    if (happening.kind == Kind::access) ++accepted_;
    local_.add({&event, 1});
  }

  Pending drain() {
    Pending found;
    for (std::size_t export_index = 0; export_index < exports_.size(); ++export_index) {
      for (Slice slice = local_.take(export_index, 3); !slice.entries.empty(); slice = local_.take(export_index, 3)) {
        for (const Entry& entry : slice.entries) {
          found[join(slice.directory, entry.name)] = milliseconds(entry.time);
          settle(entry);
        }
      }
    }
    return found;
  }

  void settle(const Entry& entry) {
    local_.settle(entry.ticket);
    ++settled_;
  }

  [[nodiscard]] bool adds_up() const {
    const auto sum = [this](std::string_view name) { return registry_.sum(name); };
    return accepted_ + sum("qatime_recovered_total") ==
           sum("qatime_coalesced_total") + sum("qatime_cancelled_total") + settled_ + std::int64_t(local_.pending());
  }

  // A backlog that has forgotten everything.
  void forget() { clock_.advance(1h); }

  Exports exports_;
  ManualClock clock_;
  metrics::Registry registry_;
  Local local_;
  std::int64_t accepted_ = 0;
  std::int64_t settled_ = 0;
};

// Whether what is pending is the truth whatever the order in which `happenings` come.
void check_all_orders(Run& run, const Happenings& happenings, int stride = 1) {
  std::vector<std::size_t> order(happenings.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  int count = 0;
  do {
    if (count++ % stride != 0) continue;
    Happenings arrivals;
    for (const std::size_t i : order) arrivals.push_back(happenings[i]);
    for (const Happening& happening : arrivals) run.add(happening);
    const Pending found = run.drain();
    if (found != truth(arrivals, run.exports_) || !run.adds_up()) {
      INFO("in this order:\n" << text(arrivals));
      CHECK(found == truth(arrivals, run.exports_));
      REQUIRE(run.adds_up());
    }
    run.forget();
  } while (std::next_permutation(order.begin(), order.end()));
}

void check_all_orders(const Happenings& happenings) {
  Run run;
  check_all_orders(run, happenings);
  SUCCEED();
}

Happening access(int time, std::string path) { return {Kind::access, time, std::move(path), {}}; }
Happening move(int time, std::string path, std::string target) {
  return {Kind::move, time, std::move(path), std::move(target)};
}
Happening removal(int time, std::string path) { return {Kind::removal, time, std::move(path), {}}; }
Happening tree_removal(int time, std::string path) { return {Kind::tree_removal, time, std::move(path), {}}; }

// All changes among some paths.
Happenings all_changes(const std::vector<std::string>& paths) {
  Happenings changes;
  for (const auto& path : paths) {
    changes.push_back(removal(0, path));
    changes.push_back(tree_removal(0, path));
    for (const auto& target : paths) changes.push_back(move(0, path, target));
  }
  std::erase_if(changes, [](const auto& one) { return one.kind == Kind::move && changes_nothing(one); });
  return changes;
}

// A stream of some minutes, of which every event comes up to half of the retention late, and some changes come again.
// Access times are unique.
class Stream {
 public:
  Stream(unsigned seed, std::vector<std::string> exports, bool takes)
      : random_{seed}, run_{std::move(exports)}, takes_{takes} {
    std::vector<std::pair<int, Happening>> arrivals;
    for (int i = 1; i <= kCount; ++i) {
      const Happening happening = any(i * kInterval);
      const int arrival = happening.time + delay();
      arrivals.emplace_back(arrival, happening);
      if (happening.kind != Kind::access && pick(3) == 0) arrivals.emplace_back(arrival + delay(), happening);
    }
    std::stable_sort(arrivals.begin(), arrivals.end(), [](auto& a, auto& b) { return a.first < b.first; });
    int now = 0;
    for (const auto& [arrival, happening] : arrivals) {
      run_.clock_.advance(std::chrono::milliseconds{arrival - now});
      now = arrival;
      step(happening);
    }
    finish();
  }

 private:
  static constexpr int kCount = 1'500;
  static constexpr int kInterval = 100;
  static constexpr int kLate = 30'000;

  int pick(int count) { return std::uniform_int_distribution{0, count - 1}(random_); }

  int delay() { return pick(3) == 0 ? pick(kLate) : pick(kLate / 100); }

  std::string path() {
    std::string path;
    for (int depth = 1 + pick(3); depth > 0; --depth) path += std::string{"/"} + static_cast<char>('a' + pick(3));
    return path;
  }

  // As ingest sees to it.
  std::string exported_path() {
    std::string one = path();
    while (!run_.exports_.place(one)) one = path();
    return one;
  }

  Happening any(int time) {
    const int what = pick(10);
    if (what < 6) return access(time, exported_path());
    // Changes may happen at the same time as others.
    if (what < 9) return move(time - pick(2) * kInterval, path(), path());
    return pick(2) == 0 ? removal(time, path()) : tree_removal(time, path());
  }

  void step(const Happening& happening) {
    INFO("event " << arrived_.size() << ": " << happening.text());
    arrived_.push_back(happening);
    if (happening.kind != Kind::access && known_changes_.insert(happening.text()).second) {
      const auto later = [](const Happening& a, const Happening& b) { return a.time < b.time; };
      changes_.insert(std::upper_bound(changes_.begin(), changes_.end(), happening, later), happening);
    }
    run_.add(happening);
    if (takes_ && pick(3) == 0) take(static_cast<std::size_t>(1 + pick(3)));
    if (takes_ && !flights_.empty() && pick(2) == 0) end_flight();
    REQUIRE(run_.adds_up());
    if (!takes_ && arrived_.size() % 10 == 0) {
      REQUIRE(run_.local_.pending() == truth(arrived_, run_.exports_).size());
    }
  }

  // Where the object of an access is by all changes that have come.
  std::optional<std::string> resolution(const std::string& path, int time) {
    Pending one{{path, time}};
    for (const Happening& change : changes_) {
      if (change.time >= time) replay(change, one);
    }
    if (one.empty() || !run_.exports_.place(one.begin()->first)) return std::nullopt;
    return one.begin()->first;
  }

  bool take(std::size_t limit) {
    bool any = false;
    for (std::size_t export_index = 0; export_index < run_.exports_.size(); ++export_index) {
      Slice slice = run_.local_.take(export_index, limit);
      if (slice.left > 0 && pick(4) == 0) run_.local_.take_more(slice, limit);
      for (const Entry& entry : slice.entries) {
        any = true;
        const std::string path = join(slice.directory, entry.name);
        const int time = milliseconds(entry.time);
        INFO("takes " << time << ' ' << path);
        REQUIRE(resolution(access_at(time).path, time) == path);
        flights_.emplace_back(entry, path);
      }
    }
    return any;
  }

  const Happening& access_at(int time) const {
    return *std::find_if(arrived_.begin(), arrived_.end(),
                         [time](const Happening& one) { return one.kind == Kind::access && one.time == time; });
  }

  void end_flight() {
    const auto at = flights_.begin() + pick(static_cast<int>(flights_.size()));
    const auto [entry, path] = *at;
    const int what = pick(10);
    if (what < 5) {
      settle(entry, path);
    } else if (what < 8) {
      run_.local_.put_back(entry.ticket, run_.clock_.now() + std::chrono::seconds{pick(3)}, entry.retry);
    } else if (!run_.local_.reconsider(entry.ticket)) {
      CHECK(resolution(access_at(milliseconds(entry.time)).path, milliseconds(entry.time)) == path);
      return;
    }
    flights_.erase(at);
  }

  void settle(const Entry& entry, const std::string& path) {
    const int time = milliseconds(entry.time);
    run_.settle(entry);
    done_.insert(time);
    for (const Happening& one : arrived_) {
      // It had superseded these.
      if (one.kind == Kind::access && one.time < time && !done_.contains(one.time) &&
          resolution(one.path, one.time) == path) {
        done_.insert(one.time);
      }
    }
  }

  void finish() {
    const Pending expected = truth(arrived_, run_.exports_);
    if (!takes_) {
      CHECK(run_.drain() == expected);
      REQUIRE(run_.adds_up());
      return;
    }
    for (bool more = true; more || !flights_.empty();) {
      while (!flights_.empty()) end_flight();
      run_.clock_.advance(3s);  // so that all is there again that was put back, and no change is forgotten
      more = take(100);
    }
    CHECK(run_.local_.pending() == 0);
    for (const auto& [path, time] : expected) {
      INFO(time << ' ' << path);
      CHECK(done_.contains(time));
    }
  }

  std::mt19937 random_;
  Run run_;
  bool takes_;
  Happenings arrived_;
  Happenings changes_;  // that have come, by time
  std::set<std::string> known_changes_;
  std::vector<std::pair<Entry, std::string>> flights_;
  std::set<int> done_;  // accesses that were settled, or superseded by one
};

}  // namespace

TEST_CASE("ChainsOfRenamesInAnyOrder", "[backlog]") {
  check_all_orders({move(2, "/a", "/b"), move(4, "/b", "/c"), access(1, "/a"), access(3, "/b"), access(5, "/c")});
  check_all_orders({move(2, "/a", "/b"), move(4, "/b", "/c"), move(6, "/c", "/a"), access(1, "/a"), access(5, "/c")});
  check_all_orders({move(2, "/a", "/b"), move(4, "/b", "/c"), access(1, "/b"), access(3, "/b"), access(5, "/b")});
}

TEST_CASE("SwapsInAnyOrder", "[backlog]") {
  check_all_orders({move(2, "/a", "/t"), move(3, "/b", "/a"), move(4, "/t", "/b"), access(1, "/a"), access(0, "/b")});
  check_all_orders({move(2, "/a", "/t"), move(3, "/b", "/a"), move(4, "/t", "/b"), access(1, "/a"), access(5, "/a")});
}

TEST_CASE("WhatIsDeletedRecreatedAndRenamedInAnyOrder", "[backlog]") {
  check_all_orders({access(1, "/a"), removal(2, "/a"), access(3, "/a"), move(4, "/a", "/b"), access(5, "/a")});
  check_all_orders({access(1, "/a"), move(2, "/a", "/b"), removal(3, "/a"), removal(4, "/b"), access(5, "/b")});
}

TEST_CASE("RenamesOntoExistingTargetsInAnyOrder", "[backlog]") {
  check_all_orders({access(1, "/a"), access(2, "/b"), move(3, "/a", "/b"), access(4, "/b"), move(5, "/b", "/c")});
  check_all_orders({access(1, "/f"), access(2, "/new"), move(3, "/f", "/f~"), move(4, "/new", "/f"), access(5, "/f")});
}

TEST_CASE("DirectoriesInAnyOrder", "[backlog]") {
  check_all_orders(
      {access(1, "/d/x"), move(2, "/d", "/e"), access(3, "/e/x"), tree_removal(4, "/e"), access(5, "/e/x")});
  check_all_orders(
      {access(1, "/d/x"), move(2, "/d/x", "/y"), move(3, "/d", "/e"), move(4, "/y", "/e/z"), access(4, "/y")});
  check_all_orders(
      {access(1, "/d/x"), tree_removal(2, "/e"), move(3, "/d", "/e"), access(4, "/e/x"), move(5, "/e/x", "/x")});
  check_all_orders(
      {access(1, "/d/s/x"), move(2, "/d/s", "/d/t"), move(3, "/d", "/e"), removal(4, "/e/t"), access(4, "/e/t")});
}

TEST_CASE("WhatHappensAtOneTimeGoesByArrival", "[backlog]") {
  check_all_orders({access(1, "/a"), move(1, "/a", "/b"), move(1, "/b", "/c"), access(1, "/b"), removal(1, "/c")});
}

TEST_CASE("ChangesThatComeTwiceInAnyOrder", "[backlog]") {
  const Happening rename = move(2, "/a", "/b");
  check_all_orders({access(1, "/a"), access(2, "/b"), rename, rename, access(3, "/a"), access(3, "/b")});
  const Happening back = move(4, "/b", "/a");
  check_all_orders({access(1, "/a"), rename, rename, access(3, "/b"), back, back, access(5, "/b")});
  const Happening gone = removal(2, "/b");  // at the time of the rename, and another change
  check_all_orders({access(1, "/a"), rename, gone, rename, gone, access(3, "/b")});
  const Happening tree = tree_removal(4, "/d");
  check_all_orders({access(1, "/d/x"), move(2, "/d/x", "/y"), tree, tree, move(5, "/y", "/d/x"), access(6, "/d/x")});
}

TEST_CASE("ExportsInAnyOrder", "[backlog]") {
  Run run{{"/in", "/in/deep"}};
  check_all_orders(run, {access(1, "/in/x"), move(2, "/in/x", "/out"), move(3, "/out", "/in/y"), access(4, "/in/y")});
  check_all_orders(run, {access(1, "/in/x"), move(2, "/in/x", "/out"), move(3, "/out", "/in/y")});
  check_all_orders(run, {access(1, "/in/d/x"), move(2, "/in/d", "/in/e"), move(3, "/in/e", "/in/deep/e"),
                         access(4, "/in/deep/e/x"), move(5, "/in/deep/e", "/out")});
  SUCCEED();
}

// Two changes and three accesses exhaustively, three changes in samples; all orders of arrival.
TEST_CASE("AllSmallSetsInAllOrders", "[one-thread]") {
  const std::vector<std::string> paths{"/a", "/b", "/a/c", "/b/c"};
  const Happenings changes = all_changes(paths);
  Run run;
  const auto at = [](Happening change, int time) {
    change.time = time;
    return change;
  };
  for (const auto& first : changes) {
    for (const auto& second : changes) {
      for (const auto& early : paths) {
        for (const auto& late : paths) {
          check_all_orders(run, {access(1, early), at(first, 2), access(3, late), at(second, 4)});
        }
      }
    }
  }
  constexpr unsigned kSeed = 1;
  std::mt19937 random{kSeed};
  const auto any = [&random](const auto& of) { return of[random() % of.size()]; };
  for (int i = 0; i < 400; ++i) {
    INFO("seed " << kSeed << ", set " << i);
    check_all_orders(run,
                     {access(1, any(paths)), at(any(changes), 2), access(3, any(paths)), at(any(changes), 4),
                      access(5, any(paths)), at(any(changes), 6)},
                     7);
  }
  SUCCEED();
}

TEST_CASE("LongStreamsOutOfOrder", "[one-thread]") {
  const std::vector<std::vector<std::string>> exports{{"/"}, {"/", "/a/b"}, {"/a", "/b/c", "/a/c/a"}};
  for (unsigned seed = 1; seed <= 4; ++seed) {
    INFO("seed " << seed);
    Stream{seed, exports.at(seed % exports.size()), seed % 2 == 0};
  }
}

}  // namespace qatime::backlog::model_test
