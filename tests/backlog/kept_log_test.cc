// SPDX-License-Identifier: MIT
// A process that is killed at each of its fsyncs in turn: what the log had before, it has until it is settled. Whatever
// stands for an access in memory, its row goes only when the log has another.
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "backlog/local.h"
#include "backlog/store_thread.h"
#include "catch.h"
#include "manual_clock.h"
#include "store/batches.h"
#include "store/codec.h"
#include "store/faulty_disk.h"
#include "store/store.h"
#include "temporary_directory.h"

namespace qatime::backlog::kept_log_test {

using namespace std::chrono_literals;

namespace {

constexpr std::size_t kPlenty = 64 << 20;
constexpr std::size_t kNone = 1;  // a log of this size is full as soon as it has anything

Time at(int second) { return Time{std::chrono::seconds{second}}; }
int seconds(Time time) { return static_cast<int>(time.time_since_epoch() / 1s); }

struct Life {
  Life(const std::string& directory, std::size_t memory, std::size_t disk)
      : config{make_config(directory, memory, disk)},
        local{config, Exports{}, clock, registry, {}, Local::Log::kept},
        store_thread{config, std::make_unique<Store>(directory), local, registry} {}

  static BacklogConfig make_config(const std::string& directory, std::size_t memory, std::size_t disk) {
    BacklogConfig config;
    config.directory = directory;
    config.memory = memory;
    config.disk = disk;
    return config;
  }

  ManualClock clock;
  metrics::Registry registry;
  BacklogConfig config;
  Local local;
  StoreThread store_thread;
};

// A life on a disk, and what the log has at each of its fsyncs. An object is known by the times of its accesses, since
// no two accesses have the same.
class Watched {
 public:
  Watched() {
    disk_.on_sync([this] { check(); });
  }
  Watched(const Watched&) = delete;
  Watched& operator=(const Watched&) = delete;
  ~Watched() { disk_.on_sync({}); }

  void begin(std::size_t memory, std::size_t disk) {
    life_.reset();
    life_.emplace(directory_.path(), memory, disk);
  }

  // Before the first life: as many rows, of one access each.
  void write_rows(int count) {
    Store store{directory_.path()};
    std::vector<Batch> batches;
    std::vector<const Batch*> all;
    batches.reserve(static_cast<std::size_t>(count));
    for (std::uint64_t sequence = 1; sequence <= static_cast<std::uint64_t>(count); ++sequence) {
      const std::string name = "a-file-with-a-name-of-some-length-" + std::to_string(sequence);
      note('/' + name);
      AccessEncoder{batches.emplace_back(Batch{sequence, now(), 1, 0, {}, {}}).entries}.add("/", name, at(now_));
      all.push_back(&batches.back());
    }
    store.commit(all, {});
  }

  void access(const std::string& path) {
    note(path);
    add(Access{path, at(now_)});
  }
  void move(const std::string& path, const std::string& target) {
    std::map<std::string, int> moved;
    for (const auto& [name, object] : here_) {
      if (is_within(name, target)) gone_.insert(object);
      if (is_within(name, target)) continue;
      const std::string to = is_within(name, path) ? rebase(name, path, target) : name;
      moved[to] = object;
      names_[object].insert(to);
    }
    here_ = std::move(moved);
    add(Move{path, target, at(++now_)});
  }
  void remove(const std::string& path) {
    if (const auto gone = here_.extract(path); !gone.empty()) gone_.insert(gone.mapped());
    add(Removal{path, false, at(++now_)});
  }
  void settle(std::size_t limit) {
    const Slice slice = life_->local.take(0, limit);
    for (const Entry& entry : slice.entries) {
      int& settled = settled_[object_of_.at(seconds(entry.time))];
      settled = std::max(settled, seconds(entry.time));
      life_->local.settle(entry.ticket);
    }
  }
  void fly(std::size_t limit) {
    for (const Entry& entry : life_->local.take(0, limit).entries) {
      flights_.push_back(entry.ticket);
    }
  }
  void land() {
    for (const Ticket ticket : std::exchange(flights_, {})) {
      life_->local.put_back(ticket, life_->clock.now(), {});
    }
  }
  void turn() {
    REQUIRE(life_->store_thread.turn());
    REQUIRE(failure_ == "");
  }

  [[nodiscard]] std::size_t kept() const { return kept_.size(); }
  [[nodiscard]] int checks() const { return checks_; }

 private:
  // An access to what is at `path`, at the next moment.
  void note(const std::string& path) {
    const auto [object, is_new] = here_.try_emplace(path, last_ + 1);
    if (is_new) ++last_;
    names_[object->second].insert(path);
    object_of_[++now_] = object->second;
  }
  void add(const Event& event) { life_->local.add({&event, 1}); }

  // Begins a life on a copy of the files, which has no other one beside it.
  void check() {
    if (std::exchange(is_checking_, true)) return;
    const TemporaryDirectory copy{fast_place()};
    for (const auto& entry : std::filesystem::directory_iterator{directory_.path()}) {
      if (entry.is_regular_file()) std::filesystem::copy(entry.path(), copy.path() / entry.path().filename());
    }
    std::map<int, int> found;
    {
      Life other{copy.path(), kPlenty, kPlenty};
      while (other.local.on_disk() > 0) (void)other.store_thread.turn();
      for (Slice slice = other.local.take(0, 1000); !slice.entries.empty(); slice = other.local.take(0, 1000)) {
        for (const Entry& entry : slice.entries) {
          const std::string path = join(slice.directory, entry.name);
          const int object = object_of_.at(seconds(entry.time));
          if (!names_.at(object).contains(path)) fail(object, seconds(entry.time), "is at " + path);
          found[object] = std::max(found[object], seconds(entry.time));
        }
      }
    }
    for (const auto& [object, time] : kept_) {
      if (gone_.contains(object) || settled_[object] >= time || found[object] >= time) continue;
      fail(object, time, "is at " + std::to_string(found[object]));
    }
    kept_ = std::move(found);
    ++checks_;
    is_checking_ = false;
  }
  void fail(int object, int time, const std::string& what) {
    failure_ += *names_.at(object).begin() + " of " + std::to_string(time) + ' ' + what + " at fsync " +
                std::to_string(checks_) + '\n';
  }

  const TemporaryDirectory directory_{fast_place()};
  FaultyDisk disk_;
  std::optional<Life> life_;
  std::vector<Ticket> flights_;
  int now_ = 1000;
  int last_ = 0;                                // object
  std::map<std::string, int> here_;             // objects by path
  std::map<int, std::set<std::string>> names_;  // of objects, at any time
  std::map<int, int> object_of_;                // by the time of an access
  std::map<int, int> settled_;                  // the newest time of an object that was
  std::set<int> gone_;
  std::map<int, int> kept_;  // the newest time of each object that the log had at the last fsync
  int checks_ = 0;
  std::string failure_;  // SQLite calls check(), which must not throw
  bool is_checking_ = false;
};

}  // namespace

TEST_CASE("a full log keeps an access whose newer time waits in memory") {
  Watched watched;
  watched.begin(kPlenty, kPlenty);
  watched.access("/a");
  watched.turn();
  watched.begin(kPlenty, kNone);
  const bool comes_first = GENERATE(false, true);
  if (comes_first) watched.turn();
  watched.access("/a");
  watched.turn();
  watched.access("/a");
  for (int turn = 0; turn < 3; ++turn) watched.turn();
  CHECK(watched.kept() == 1);
}

TEST_CASE("a full log keeps an access that waits under another name") {
  Watched watched;
  watched.begin(kPlenty, kPlenty);
  watched.access("/a");
  watched.access("/d/e");
  watched.turn();
  const bool is_away = GENERATE(false, true);
  if (is_away) watched.move("/a", "/b");
  watched.turn();
  watched.begin(kPlenty, kNone);
  for (int turn = 0; turn < 3; ++turn) watched.turn();
  if (!is_away) watched.move("/a", "/b");
  watched.move("/d/e", "/d/f");
  watched.access("/a");
  for (int turn = 0; turn < 3; ++turn) watched.turn();
  CHECK(watched.kept() == 2);
}

TEST_CASE("a full log keeps what is in flight under another name") {
  Watched watched;
  watched.begin(kPlenty, kPlenty);
  watched.access("/a");
  watched.access("/d/e");
  watched.turn();
  watched.begin(kPlenty, kNone);
  watched.turn();
  watched.fly(1);
  watched.fly(1);
  watched.access("/d/e");
  watched.move("/a", "/b");
  watched.move("/d", "/e");
  watched.turn();
  watched.land();
  for (int turn = 0; turn < 3; ++turn) watched.turn();
  CHECK(watched.kept() == 2);
}

// Small rows of which more are away than there may be.
TEST_CASE("rows that are made one are in the log until it has that one") {
  constexpr int kRows = 4'000;
  Watched watched;
  watched.write_rows(kRows);
  watched.begin(480 << 10, GENERATE(kNone, kPlenty));
  for (int turn = 0; turn < 10; ++turn) watched.turn();
  watched.access("/new");
  watched.turn();
  CHECK(watched.kept() >= kRows);
}

TEST_CASE("whatever happens to an access, the log has it at each fsync until it is settled", "[one-thread]") {
  const unsigned seed = std::random_device{}();
  INFO("seed " << seed);
  const std::size_t disk = GENERATE(std::size_t{1}, std::size_t{30 << 10}, kPlenty);
  const std::size_t memory = GENERATE(std::size_t{160 << 10}, kPlenty);
  CAPTURE(disk, memory);
  std::mt19937 random{seed};
  const auto pick = [&random](int count) { return std::uniform_int_distribution{0, count - 1}(random); };
  const std::string padding(100, '-');
  const auto path = [&](int depth) {
    std::string one;
    for (int left = 1 + pick(depth); left > 0; --left) one += '/' + padding + static_cast<char>('a' + pick(8));
    return one;
  };
  Watched watched;
  watched.begin(memory, kPlenty);
  for (int i = 0; i < 200; ++i) {
    watched.access(path(3));
    if (pick(30) == 0) watched.turn();
    if (pick(30) == 0) watched.remove(path(2));
  }
  watched.turn();
  watched.begin(memory, disk);
  for (int step = 0; step < 200; ++step) {
    switch (pick(12)) {
      case 0: {
        const auto from = path(2);
        const auto to = path(2);
        if (!is_within(from, to) && !is_within(to, from)) watched.move(from, to);
        break;
      }
      case 1:
        watched.remove(path(2));
        break;
      case 2:
        watched.settle(std::size_t(pick(4)));
        break;
      case 3:
        watched.fly(std::size_t(pick(4)));
        break;
      case 4:
        watched.land();
        break;
      case 5:
      case 6:
        watched.turn();
        break;
      default:
        watched.access(path(3));
    }
  }
  CHECK(watched.checks() > 20);
}

}  // namespace qatime::backlog::kept_log_test
