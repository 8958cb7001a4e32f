// SPDX-License-Identifier: MIT
//
// A batch has accesses or changes. Batches that were taken out of the buffer and could not be written stay in
// `uncommitted` of pass(), which goes on trying: meanwhile the buffer fills.
#include "redis/outbox.h"

#include <algorithm>
#include <utility>

#include <boost/unordered/unordered_flat_map.hpp>
#include <pthread.h>

#include "pending/container/hash.h"
#include "redis/keys.h"
#include "store/logger.h"

namespace qatime::backlog::redis {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kMuch = 4 << 20;      // bytes of accesses that do not wait for the next commit
constexpr std::size_t kMaxBatch = 1 << 20;  // bytes
constexpr std::size_t kLoaded = 16 << 20;   // bytes of batches that wait in memory for Redis
constexpr auto kRetry = 500ms;

struct ShardedAccess {
  std::string_view directory;
  std::string_view name;
  Time time;
  unsigned shard;
};

struct HashedName {
  std::uint64_t hash;
  std::string_view directory;
  std::string_view name;
  friend bool operator==(const HashedName& a, const HashedName& b) {
    return a.name == b.name && a.directory == b.directory;
  }
};
struct NameHash {
  using is_avalanching = void;
  std::size_t operator()(const HashedName& name) const noexcept { return name.hash; }
};

// The newest access of each path, by shards.
std::vector<ShardedAccess> coalesce(std::string_view bytes, std::uint64_t count, unsigned shards) {
  std::vector<ShardedAccess> found;
  found.reserve(count);
  boost::unordered_flat_map<HashedName, std::uint32_t, NameHash> known;
  known.reserve(count);
  std::vector<std::uint32_t> sizes(shards + 1);
  AccessDecoder decoder{bytes};
  std::string_view directory;
  std::uint64_t hash = hash_bytes(directory);
  unsigned shard = shard_of(directory, shards);
  while (decoder.next()) {
    if (decoder.directory().data() != directory.data()) {
      directory = decoder.directory();
      hash = hash_bytes(directory);
      shard = shard_of(directory, shards);
    }
    const HashedName name{hash_bytes(decoder.name(), hash), directory, decoder.name()};
    const auto [at, is_new] = known.try_emplace(name, static_cast<std::uint32_t>(found.size()));
    if (is_new) {
      found.push_back({directory, decoder.name(), decoder.time(), shard});
      ++sizes[shard + 1];
    } else {
      found[at->second].time = std::max(found[at->second].time, decoder.time());
    }
  }
  for (unsigned i = 0; i < shards; ++i) sizes[i + 1] += sizes[i];
  std::vector<ShardedAccess> sorted(found.size());
  for (const ShardedAccess& access : found) sorted[sizes[access.shard]++] = access;
  return sorted;
}

}  // namespace

Outbox::Outbox(const BacklogConfig& config, unsigned shards, std::unique_ptr<Store> store, SharedCounters& counters,
               metrics::Registry& registry)
    : config_{config},
      shards_{shards},
      store_{std::move(store)},
      counters_{counters},
      memory_bytes_{registry.gauge("qatime_backlog_bytes", "Memory that the backlog takes")},
      metrics_{registry},
      alerts_{registry.alerts()},
      encoder_{std::make_unique<AccessEncoder>(accesses_)} {
  (void)try_to_load();
}

Outbox::~Outbox() {
  if (!thread_.joinable()) return;
  begin_stop(0ms);
  thread_.join();
}

bool Outbox::try_to_load() {
  try {
    load_existing();
  } catch (const StoreError& error) {
    refused(error);
    return false;
  }
  is_loaded_ = true;
  set_trouble(OutboxTrouble::none);
  return true;
}

void Outbox::load_existing() {
  const auto rows = store_->rows();
  const MutexLock lock{mutex_};
  std::int64_t count = 0;
  for (const Store::StoredRow& row : rows) {
    rows_.emplace(row.sequence, OutboxRow{row.accesses, row.bytes, row.written, OutboxState::waiting, {}, nullptr});
    not_loaded_.insert(row.sequence);
    row_bytes_ += row.bytes;
    last_sequence_ = row.sequence;
    ++unacknowledged_;
    count += row.accesses;
  }
  counters_.add({.recovered = count, .incoming = count});
  if (count > 0) kLog.info("{} accesses of {} are handed over to Redis, some of them again", count, config_.directory);
}

// --- The intake thread -----------------------------------------------------------------------------------------------

void Outbox::add(Events events) {
  SharedCounters::Delta entry;
  {
    const MutexLock lock{mutex_};
    for (const Event& event : events) {
      if (const auto* const access = std::get_if<qatime::Access>(&event)) {
        if (accesses_.size() + changes_.size() >= config_.memory) {
          ++(trouble_ == OutboxTrouble::full ? entry.refused : entry.failed);
          continue;
        }
        const std::size_t slash = access->path.rfind('/');
        encoder_->add(access->path.substr(0, std::max<std::size_t>(slash, 1)), access->path.substr(slash + 1),
                      access->time);
        ++count_;
        ++entry.incoming;
      } else if (const auto* const move = std::get_if<Move>(&event)) {
        encode(*move, changes_);
        ++changes_count_;
      } else if (const auto* const removal = std::get_if<Removal>(&event)) {
        encode(*removal, changes_);
        ++changes_count_;
      }
    }
    const bool has_much = accesses_.size() >= kMuch;
    if (has_much && !std::exchange(has_much_, true)) changed_.notify_all();
  }
  counters_.add(entry);
}

// --- The store thread ------------------------------------------------------------------------------------------------

void Outbox::start() {
  thread_ = std::thread{[this] { run(); }};
}

void Outbox::run() {
  pthread_setname_np(pthread_self(), "store");
  bool is_complete = false;
  for (bool is_stopping = false; !is_stopping;) {
    is_stopping = wait_for_work();
    is_complete = pass();
    also_();
  }
  const MutexLock lock{mutex_};
  shutdown_.finish(is_complete);
  changed_.notify_all();
}

bool Outbox::wait_for_work() {
  const MutexLock lock{mutex_};
  changed_.wait_for(mutex_, config_.commit,
                    [this]() QATIME_REQUIRES(mutex_) { return has_much_ || shutdown_.is_requested(); });
  has_much_ = false;
  return shutdown_.is_requested();
}

void Outbox::begin_stop(std::chrono::milliseconds limit) {
  const MutexLock lock{mutex_};
  shutdown_.request(limit);
  changed_.notify_all();
}

std::optional<bool> Outbox::outcome() {
  const MutexLock lock{mutex_};
  return shutdown_.outcome();
}

// Commits everything that has come, unless the disk is full. Returns whether it could.
bool Outbox::pass() {
  while (!is_loaded_ && !try_to_load()) {
    if (!may_try_again()) return false;
  }
  const auto batches = cut();
  do {
    if (commit(batches)) {
      load();
      publish();
      const MutexLock lock{mutex_};
      return trouble_ == OutboxTrouble::none;
    }
  } while (may_try_again());
  return false;
}

// Makes batches of what has come.
std::vector<std::shared_ptr<Batch>> Outbox::cut() {
  std::string bytes;
  std::string changes;
  std::uint64_t count = 0;
  std::uint32_t changes_count = 0;
  {
    const MutexLock lock{mutex_};
    if (row_bytes_ >= config_.disk) return {};
    bytes = std::exchange(accesses_, {});
    encoder_ = std::make_unique<AccessEncoder>(accesses_);
    changes = std::exchange(changes_, {});
    count = std::exchange(count_, 0);
    changes_count = std::exchange(changes_count_, 0);
  }
  std::vector<std::shared_ptr<Batch>> batches;
  const auto open = [&] {
    auto batch = std::make_shared<Batch>();
    batch->sequence = ++last_sequence_;
    batch->written = now();
    batches.push_back(batch);
    return batch;
  };
  if (changes_count > 0) {
    const auto batch = open();
    batch->changes = std::move(changes);
    batch->changes_count = changes_count;
  }
  const auto accesses = coalesce(bytes, count, shards_);
  for (std::size_t at = 0; at < accesses.size();) {
    const auto batch = open();
    AccessEncoder encoder{batch->entries};
    for (; at < accesses.size() && batch->entries.size() < kMaxBatch; ++at, ++batch->accesses) {
      encoder.add(accesses[at].directory, accesses[at].name, accesses[at].time);
    }
  }
  const auto lost = static_cast<std::int64_t>(count - accesses.size());
  counters_.add({.coalesced = lost, .incoming = -lost});
  return batches;
}

// Writes batches, and deletes what is needed no more. Returns whether the disk took it.
bool Outbox::commit(const std::vector<std::shared_ptr<Batch>>& batches) {
  std::vector<std::uint64_t> unneeded;
  {
    const MutexLock lock{mutex_};
    const auto now = std::chrono::steady_clock::now();
    std::size_t bytes = row_bytes_;
    for (auto& [sequence, row] : rows_) {
      if (row.state < OutboxState::acknowledged) continue;
      if (now - row.acknowledged < kKept && bytes < config_.disk / 2) continue;
      row.state = OutboxState::doomed;
      unneeded.push_back(sequence);
      bytes -= row.bytes;
    }
  }
  std::vector<const Batch*> views;
  views.reserve(batches.size());
  for (const auto& batch : batches) views.push_back(batch.get());
  try {
    if (!views.empty() || !unneeded.empty()) {
      const auto begin = std::chrono::steady_clock::now();
      store_->commit(views, unneeded);
      metrics_.commit_seconds.observe(std::chrono::steady_clock::now() - begin);
    }
  } catch (const StoreError& error) {
    refused(error);
    return false;
  }
  bool is_full = false;
  bool has_news = false;
  {
    const MutexLock lock{mutex_};
    for (const auto sequence : unneeded) {
      row_bytes_ -= rows_.at(sequence).bytes;
      rows_.erase(sequence);
    }
    for (const auto& batch : batches) {
      OutboxRow& row = rows_[batch->sequence];
      row = {batch->accesses, batch->entries.size() + batch->changes.size(), batch->written, OutboxState::waiting, {},
             nullptr};
      row_bytes_ += row.bytes;
      ++unacknowledged_;
      if (loaded_bytes_ < kLoaded) {
        row.batch = batch;
        loaded_bytes_ += row.bytes;
        ready_.push_back(batch->sequence);
      } else {
        not_loaded_.insert(batch->sequence);
      }
    }
    is_full = row_bytes_ >= config_.disk;
    has_news = !ready_.empty();
  }
  std::uint64_t events = 0;
  for (const auto& batch : batches) events += batch->accesses + batch->changes_count;
  metrics_.committed.add(events);
  set_trouble(is_full ? OutboxTrouble::full : OutboxTrouble::none);
  if (is_full) {
    kLog.error(full_,
               "the outbox has reached backlog.disk, what comes waits in memory while there is room: see why Redis "
               "takes nothing, or raise it");
  }
  if (has_news && wake_) wake_();
  return true;
}

// Brings back what waits on disk alone.
void Outbox::load() {
  while (true) {
    std::uint64_t sequence = 0;
    {
      const MutexLock lock{mutex_};
      if (not_loaded_.empty() || loaded_bytes_ >= kLoaded) return;
      sequence = *not_loaded_.begin();
    }
    std::optional<Batch> batch;
    try {
      batch = store_->read(sequence);
    } catch (const StoreError& error) {
      kLog.error(refused_, "the backlog cannot be read, what is on disk waits: {}", error.what());
      return;
    }
    {
      const MutexLock lock{mutex_};
      not_loaded_.erase(sequence);
      if (batch) {
        OutboxRow& row = rows_.at(sequence);
        row.batch = std::make_shared<const Batch>(std::move(*batch));
        loaded_bytes_ += row.bytes;
        ready_.push_back(sequence);
      }
    }
    if (!batch) lose(sequence);
    if (batch && wake_) wake_();
  }
}

// A row that cannot be read is in the store no more.
void Outbox::lose(std::uint64_t sequence) {
  std::int64_t accesses = 0;
  {
    const MutexLock lock{mutex_};
    const OutboxRow& row = rows_.at(sequence);
    accesses = row.accesses;
    row_bytes_ -= row.bytes;
    --unacknowledged_;
    rows_.erase(sequence);
  }
  counters_.add({.lost = accesses, .incoming = -accesses});
}

void Outbox::refused(const StoreError& error) {
  set_trouble(OutboxTrouble::failed);
  kLog.error(refused_, "the backlog cannot be written, what comes waits in memory: {}", error.what());
}

void Outbox::set_trouble(OutboxTrouble trouble) {
  const MutexLock lock{mutex_};
  if (trouble_ == OutboxTrouble::failed && trouble != OutboxTrouble::failed) kLog.info("the backlog is written again");
  trouble_ = trouble;
  metrics_.degraded.set(trouble == OutboxTrouble::none ? 0 : 1);
  if (trouble == OutboxTrouble::none) {
    alerts_.resolve("backlog", "backlog.directory");
  } else if (trouble == OutboxTrouble::failed) {
    alerts_.raise("backlog", "backlog.directory", "it cannot be written: the log says why", Alerts::Effect::unready);
  } else {
    alerts_.raise("backlog", "backlog.directory",
                  "it has reached backlog.disk: see why Redis takes nothing, or raise it");
  }
}

bool Outbox::may_try_again() {
  const MutexLock lock{mutex_};
  changed_.wait_for(mutex_, kRetry, [this]() QATIME_REQUIRES(mutex_) { return shutdown_.is_late(); });
  return !shutdown_.is_late();
}

void Outbox::publish() {
  const MutexLock lock{mutex_};
  memory_bytes_.set(static_cast<std::int64_t>(accesses_.capacity() + changes_.capacity() + loaded_bytes_));
  metrics_.disk_bytes.set(static_cast<std::int64_t>(row_bytes_));
}

// --- The thread of Redis ---------------------------------------------------------------------------------------------

std::shared_ptr<const Batch> Outbox::next() {
  const MutexLock lock{mutex_};
  if (ready_.empty()) return nullptr;
  OutboxRow& row = rows_.at(ready_.front());
  ready_.pop_front();
  row.state = OutboxState::handed_out;
  return row.batch;
}

void Outbox::acknowledge(OutboxRow& row) {
  row.state = OutboxState::acknowledged;
  row.acknowledged = std::chrono::steady_clock::now();
  row.batch.reset();
  loaded_bytes_ -= row.bytes;
  --unacknowledged_;
}

void Outbox::acknowledged(std::uint64_t sequence, std::uint64_t added) {
  std::int64_t accesses = 0;
  {
    const MutexLock lock{mutex_};
    OutboxRow& row = rows_.at(sequence);
    accesses = row.accesses;
    acknowledge(row);
    if (!not_loaded_.empty() && loaded_bytes_ < kLoaded / 2 && !std::exchange(has_much_, true)) changed_.notify_all();
  }
  const auto taken = static_cast<std::int64_t>(added);
  counters_.add({.coalesced = accesses - taken, .handed_over = taken, .incoming = -accesses});
}

void Outbox::hand_out_again(bool all) {
  std::int64_t again = 0;
  {
    const MutexLock lock{mutex_};
    for (auto& [sequence, row] : rows_) {
      if (row.state == OutboxState::handed_out) {
        row.state = OutboxState::waiting;
        ready_.push_back(sequence);
      } else if (row.state == OutboxState::acknowledged && all) {
        row.state = OutboxState::waiting;
        not_loaded_.insert(sequence);
        ++unacknowledged_;
        again += row.accesses;
      }
    }
    if (again > 0 && !std::exchange(has_much_, true)) changed_.notify_all();
  }
  counters_.add({.recovered = again, .incoming = again});
}

bool Outbox::is_empty() const {
  const MutexLock lock{mutex_};
  return unacknowledged_ == 0;
}

std::chrono::seconds Outbox::oldest() const {
  const MutexLock lock{mutex_};
  for (const auto& [sequence, row] : rows_) {
    if (row.state < OutboxState::acknowledged)
      return std::chrono::duration_cast<std::chrono::seconds>(now() - row.written);
  }
  return {};
}

}  // namespace qatime::backlog::redis
