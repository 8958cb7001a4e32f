// SPDX-License-Identifier: MIT
// The local backlog beside a model: plain maps, and changes that are followed by reading all of them.
#include <algorithm>
#include <iterator>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "backlog/local.h"
#include "catch.h"
#include "manual_clock.h"

using namespace std::chrono_literals;
using namespace qatime;
using namespace qatime::backlog;

namespace {

struct ModelChange {
  Order order;
  std::string path;
  std::string target;  // of a move
  bool subtree;
  Clock::Instant arrival;
};

struct ModelFlight {
  std::string path;
  Time time;
  std::uint64_t seen;
  Ticket ticket;
};

struct ModelWait {
  Time time;
  Clock::Instant not_before{};
};

class Model {
 public:
  explicit Model(const Lanes& lanes) : lanes_{lanes} {}

  void access(const std::string& path, Time time) { arrive(follow(path, {time}, 0), time); }

  void move(const std::string& path, const std::string& target, Time time, Clock::Instant now) {
    if (is_within(path, target) || is_within(target, path)) return;
    const Order order{time, ++sequence_};
    changes_.push_back({order, path, target, true, now});
    cancelled += withdraw(target, true, time).size();
    for (const auto& [from, when] : withdraw(path, true, time)) {
      arrive(follow(rebase(from, path, target), {time, order.sequence + 1}, 0), when);
    }
  }

  void remove(const std::string& path, bool subtree, Time time, Clock::Instant now) {
    changes_.push_back({{time, ++sequence_}, path, "", subtree, now});
    cancelled += withdraw(path, subtree, time).size();
  }

  void forget(Clock::Instant now) {
    std::erase_if(changes_, [now](const ModelChange& change) { return now - change.arrival >= 60s; });
  }

  // Whether this may come out now; it is in flight then.
  bool take(const std::string& path, Time time, Ticket ticket, Clock::Instant now) {
    const auto found = waiting.find(path);
    if (found == waiting.end() || flights.contains(path)) return false;
    if (found->second.time != time || found->second.not_before > now) return false;
    flights[path] = {path, time, sequence_, ticket};
    waiting.erase(found);
    return true;
  }

  void settle(const ModelFlight& flight) { flights.erase(flight.path); }

  void put_back(const ModelFlight& flight, Clock::Instant not_before) {
    if (reconsider(flight)) return;
    const auto [at, is_new] = waiting.try_emplace(flight.path, ModelWait{flight.time, not_before});
    if (!is_new) ++coalesced;
    at->second.not_before = not_before;
    flights.erase(flight.path);
  }

  bool reconsider(const ModelFlight& flight) {
    const auto now_at = follow(flight.path, {flight.time}, flight.seen);
    if (now_at && !moved_) return false;
    const Time time = flight.time;
    flights.erase(flight.path);
    arrive(now_at, time);
    return true;
  }

  std::map<std::string, ModelWait> waiting;
  std::map<std::string, ModelFlight> flights;
  std::size_t coalesced = 0;
  std::size_t cancelled = 0;

 private:
  // Where what is at `path` is now; nothing if it is gone. moved_ tells whether any change applied.
  std::optional<std::string> follow(std::string path, Order from, std::uint64_t seen) {
    moved_ = false;
    std::vector<ModelChange> sorted = changes_;
    std::sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) { return a.order < b.order; });
    for (const ModelChange& change : sorted) {
      if (change.order < from || change.order.sequence <= seen) continue;
      if (change.target.empty()) {
        if (change.subtree ? is_within(path, change.path) : path == change.path) return std::nullopt;
      } else if (is_within(path, change.path)) {
        path = rebase(path, change.path, change.target);
        moved_ = true;
      } else if (is_within(path, change.target)) {
        return std::nullopt;
      }
    }
    return path;
  }

  void arrive(const std::optional<std::string>& path, Time time) {
    if (!path || !lanes_.place(*path)) {
      ++cancelled;
    } else if (const auto found = waiting.find(*path); found != waiting.end()) {
      ++coalesced;
      found->second.time = std::max(found->second.time, time);
    } else if (const auto flight = flights.find(*path); flight != flights.end() && time <= flight->second.time) {
      ++coalesced;
    } else {
      waiting[*path] = {time};
    }
  }

  std::vector<std::pair<std::string, Time>> withdraw(const std::string& path, bool subtree, Time until) {
    std::vector<std::pair<std::string, Time>> gone;
    for (auto at = waiting.begin(); at != waiting.end();) {
      const bool concerned = subtree ? is_within(at->first, path) : at->first == path;
      if (concerned && at->second.time <= until) {
        gone.emplace_back(at->first, at->second.time);
        at = waiting.erase(at);
      } else {
        ++at;
      }
    }
    return gone;
  }

  const Lanes& lanes_;
  std::vector<ModelChange> changes_;
  std::uint64_t sequence_ = 0;
  bool moved_ = false;
};

class Run {
 public:
  Run(unsigned seed, std::vector<std::string> paths)
      : random_{seed}, lanes_{std::move(paths)}, local_{BacklogConfig{}, lanes_, clock_, registry_}, model_{lanes_} {}

  void step() {
    ++step_;
    const int what = pick(100);
    if (what < 55) {
      access();
    } else if (what < 63) {
      move();
    } else if (what < 68) {
      remove();
    } else if (what < 80) {
      take(static_cast<std::size_t>(1 + pick(4)));
    } else {
      finish(what);
    }
    if (pick(20) == 0) clock_.advance(std::chrono::seconds{pick(8)});
    check();
  }

  // Everything comes out, with the times of the model.
  void drain() {
    clock_.advance(1h);
    while (!model_.flights.empty()) settle(any_flight());
    while (take(100)) {
      while (!model_.flights.empty()) settle(any_flight());
    }
    CHECK(model_.waiting.empty());
    CHECK(local_.pending() == 0);
    CHECK(accepted_ == model_.coalesced + model_.cancelled + settled_);
    check();
  }

 private:
  int pick(int count) { return std::uniform_int_distribution{0, count - 1}(random_); }

  std::string path() {
    std::string path;
    for (int depth = 1 + pick(4); depth > 0; --depth) path += std::string{"/"} + static_cast<char>('a' + pick(3));
    return path;
  }

  // Times grow, but not strictly in the order of arrival.
  Time time() { return Time{std::chrono::seconds{1'000 + step_ - pick(40)}}; }

  void access() {
    std::vector<std::string> paths;
    std::vector<Event> events;
    for (int i = 1 + pick(3); i > 0; --i) paths.push_back(path());
    if (pick(10) == 0) paths.push_back(lanes_.path(0));
    model_.forget(clock_.now());
    for (const std::string& path : paths) {
      events.emplace_back(Access{path, time()});
      model_.access(path, std::get<Access>(events.back()).time);
    }
    accepted_ += events.size();
    local_.add(events);
  }

  void move() {
    const std::string from = path();
    const std::string to = path();
    const Event event = Move{from, to, time()};
    model_.forget(clock_.now());
    model_.move(from, to, std::get<Move>(event).time, clock_.now());
    // The delay of what was put back may or may not move along.
    for (auto& [path, wait] : model_.waiting) {
      if (is_within(path, to)) wait.not_before = {};
    }
    local_.add({&event, 1});
  }

  void remove() {
    const std::string at = path();
    const Event event = Removal{at, pick(2) == 0, time()};
    model_.forget(clock_.now());
    model_.remove(at, std::get<Removal>(event).subtree, std::get<Removal>(event).time, clock_.now());
    local_.add({&event, 1});
  }

  bool take(std::size_t limit) {
    bool any = false;
    for (std::size_t lane = 0; lane < lanes_.size(); ++lane) {
      Slice slice = local_.take(lane, limit);
      CHECK(slice.entries.size() <= limit);
      if (slice.left > 0 && pick(4) == 0) {
        const auto [size, left] = std::pair{slice.entries.size(), slice.left};
        local_.take_more(slice, 2);
        CHECK(slice.entries.size() == size + std::min<std::size_t>(left, 2));
        CHECK(slice.left == left - std::min<std::size_t>(left, 2));
      }
      for (const Entry& entry : slice.entries) {
        any = true;
        const std::string path = join(slice.directory, entry.name);
        INFO("takes " << path << " in step " << step_);
        CHECK(lanes_.place(path)->lane == lane);
        REQUIRE(model_.take(path, entry.time, entry.ticket, clock_.now()));
      }
    }
    return any;
  }

  ModelFlight any_flight() {
    return std::next(model_.flights.begin(), pick(static_cast<int>(model_.flights.size())))->second;
  }

  void settle(const ModelFlight& flight) {
    model_.settle(flight);
    local_.settle(flight.ticket);
    ++settled_;
  }

  void finish(int what) {
    if (model_.flights.empty()) return;
    const ModelFlight flight = any_flight();
    if (what < 88) {
      settle(flight);
    } else if (what < 94) {
      const Clock::Instant not_before = clock_.now() + std::chrono::seconds{pick(20)};
      model_.put_back(flight, not_before);
      local_.put_back(flight.ticket, not_before, {.attempts = 1, .since = clock_.now()});
    } else {
      CHECK(local_.reconsider(flight.ticket) == model_.reconsider(flight));
    }
  }

  void check() {
    INFO("step " << step_);
    REQUIRE(local_.pending() == model_.waiting.size() + model_.flights.size());
    REQUIRE(registry_.sum("qatime_in_flight") == static_cast<std::int64_t>(model_.flights.size()));
    REQUIRE(registry_.sum("qatime_coalesced_total") == static_cast<std::int64_t>(model_.coalesced));
    REQUIRE(registry_.sum("qatime_cancelled_total") == static_cast<std::int64_t>(model_.cancelled));
  }

  std::mt19937 random_;
  Lanes lanes_;
  ManualClock clock_;
  metrics::Registry registry_;
  Local local_;
  Model model_;
  int step_ = 0;
  std::size_t accepted_ = 0;
  std::size_t settled_ = 0;
};

}  // namespace

TEST_CASE("TheLocalBacklogDoesWhatItsModelDoes", "[backlog]") {
  const std::vector<std::vector<std::string>> exports{{"/"}, {"/", "/a/b"}, {"/a", "/b/c", "/a/c/a"}};
  for (unsigned seed = 1; seed <= 30; ++seed) {
    INFO("seed " << seed);
    Run run{seed, exports[seed % exports.size()]};
    for (int i = 0; i < 2'000; ++i) run.step();
    run.drain();
  }
}
