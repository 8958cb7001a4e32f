// SPDX-License-Identifier: MIT
#include "backlog/store_thread.h"

#include <algorithm>
#include <string>
#include <utility>
#include <variant>

#include <fmt/core.h>
#include <pthread.h>

#include "base/path.h"
#include "base/timestamp.h"
#include "store/codec.h"
#include "store/logger.h"

namespace qatime::backlog {
namespace {

using namespace std::chrono_literals;

// One transaction.
constexpr std::size_t kMaxDraft = 8 << 20;
// Brought back between two commits, a tenth of a second or less: accesses and changes, and rows, each of which takes as
// long as some of them.
constexpr std::size_t kMaxStep = 64 << 10;
constexpr std::size_t kRow = 16;
// After the disk has refused.
constexpr auto kRetry = 500ms;

}  // namespace

StoreThread::StoreThread(const BacklogConfig& config, std::unique_ptr<Store> store, Local& local,
                         metrics::Registry& registry)
    : config_{config}, store_{std::move(store)}, local_{local}, metrics_{registry}, alerts_{registry.alerts()} {
  local_.on_much_unwritten([this] {
    const MutexLock lock{mutex_};
    has_much_ = true;
    changed_.notify_all();
  });
  (void)try_to_load();
}

StoreThread::~StoreThread() {
  if (!thread_.joinable()) return;
  (void)stop(0ms);
  thread_.join();
}

void StoreThread::start() {
  thread_ = std::thread{[this] { run(); }};
}

void StoreThread::begin_stop(std::chrono::milliseconds limit) {
  const MutexLock lock{mutex_};
  shutdown_.request(limit);
  changed_.notify_all();
}

std::optional<bool> StoreThread::outcome() {
  const MutexLock lock{mutex_};
  return shutdown_.outcome();
}

bool StoreThread::stop(std::chrono::milliseconds limit) {
  begin_stop(limit);
  const MutexLock lock{mutex_};
  changed_.wait_until(mutex_, shutdown_.deadline(),
                      [this]() QATIME_REQUIRES(mutex_) { return shutdown_.outcome().has_value(); });
  return shutdown_.outcome().value_or(false);
}

// Tries until the log is there. Returns false when it was not before the end.
bool StoreThread::load() {
  while (!is_loaded_ && !try_to_load()) {
    if (!may_try_again()) return false;
  }
  return true;
}

bool StoreThread::try_to_load() {
  try {
    load_existing();
  } catch (const StoreError& error) {
    refused(writing_, error);
    return false;
  }
  is_loaded_ = true;
  began_ = std::chrono::steady_clock::now();
  taken(writing_);
  return true;
}

// Goes on where the disk refused. Changes of the last minute concern what comes from now on, too.
void StoreThread::load_existing() {
  const Time since = now() - local_.limits().retention;
  for (const Store::StoredRow& row : store_->rows()) {
    if (row.sequence <= loaded_) continue;
    const bool is_young = row.changes > 0 && row.written >= since;
    const auto changes = is_young ? store_->read_changes(row.sequence) : std::nullopt;
    local_.load_existing(row.sequence, row.written, row.accesses, row.changes, row.bytes);
    loaded_ = row.sequence;
    existing_ += row.accesses;
    if (changes) decode_changes(*changes, [&](const Event& change) { local_.remember(change); });
  }
  if (existing_ > 0) {
    kLog.info("{} accesses wait in {}", log::field("accesses", existing_), log::field("directory", config_.directory));
  }
}

// However much comes back, and through however many changes, what comes meanwhile is committed.
bool StoreThread::turn() {
  if (!load()) return false;
  is_bringing_ = bring_back();
  return pass();
}

void StoreThread::run() {
  pthread_setname_np(pthread_self(), "store");
  bool is_complete = false;
  for (bool is_stopping = false; !is_stopping;) {
    is_stopping = wait_for_work();
    is_complete = is_stopping ? load() && pass() : turn();
    also_();
  }
  is_complete = is_complete && pass();  // what that left without need is deleted
  const MutexLock lock{mutex_};
  shutdown_.finish(is_complete);
  changed_.notify_all();
}

// Returns whether it is time to stop.
bool StoreThread::wait_for_work() {
  const MutexLock lock{mutex_};
  if (!is_bringing_) {
    changed_.wait_for(mutex_, config_.commit,
                      [this]() QATIME_REQUIRES(mutex_) { return has_much_ || shutdown_.is_requested(); });
  }
  has_much_ = false;
  return shutdown_.is_requested();
}

// Commits everything that is new now, in several transactions if it is much. Returns whether it could.
bool StoreThread::pass() {
  Local::Pass pass = local_.begin_pass();
  for (bool more = true; more;) {
    Local::Draft draft;
    while (more && draft.bytes < kMaxDraft) more = local_.write_some(pass, draft);
    if (!commit(draft, more ? std::vector<Slot>{} : pass.unneeded)) return false;
  }
  if (pass.events > metrics_.committed.value()) metrics_.committed.add(pass.events - metrics_.committed.value());
  is_full_ = pass.is_full;
  tell_trouble();
  if (is_full_) {
    kLog.error(full_,
               "the backlog has reached backlog.disk, what comes waits in memory while there is room: see why the "
               "servers take nothing, or raise it");
  }
  metrics_.disk_bytes.set(static_cast<std::int64_t>(local_.disk_bytes()));
  local_.renew();
  return true;
}

// Tries until the disk takes it. Returns false when it did not before the end.
bool StoreThread::commit(const Local::Draft& draft, const std::vector<Slot>& unneeded) {
  if (draft.parts.empty() && unneeded.empty()) return true;
  std::vector<const Batch*> batches;
  batches.reserve(draft.parts.size());
  for (const auto& part : draft.parts) batches.push_back(&part.batch);
  const auto sequences = local_.sequences(unneeded);
  do {
    try {
      const auto begin = std::chrono::steady_clock::now();
      store_->commit(batches, sequences);
      metrics_.commit_seconds.observe(std::chrono::steady_clock::now() - begin);
      local_.committed(draft, unneeded);
      taken(writing_);
      return true;
    } catch (const StoreError& error) {
      refused(writing_, error);
    }
  } while (may_try_again());
  return false;
}

// One step. Returns whether something came back or was read.
bool StoreThread::bring_back() {
  try {
    if (!replay_) {
      Local::Return returning = local_.begin_return();
      if (returning.rows.empty()) {
        if (existing_ > 0 && local_.on_disk() == 0) report();
        return false;
      }
      if (returning.has_changes) {
        replay_ = std::make_unique<LogReplay>(std::move(returning), local_, config_.memory);
      } else {
        bring_directly(returning);
      }
    }
    if (replay_) bring_through_changes();
    taken(reading_);
    return true;
  } catch (const StoreError& error) {
    refused(reading_, error);
    return false;
  }
}

// The rest of `returning` is chosen again, because it might have to go through changes by then.
void StoreThread::bring_directly(Local::Return& returning) {
  std::size_t done = 0;
  for (const auto& step : returning.rows) {
    if (done >= kMaxStep) return;
    done += kRow + bring_directly(step, returning.is_merger);
  }
}

// Returns the number of accesses.
std::size_t StoreThread::bring_directly(const Local::Return::Step& step, bool is_merger) {
  const auto batch = store_->read(step.sequence);
  if (!batch) {
    local_.lose(step.row);
    return 0;
  }
  AccessDecoder accesses{batch->entries};
  while (local_.bring_directly(step, accesses, is_merger)) continue;
  if (accesses.at_end()) return batch->accesses;
  PendingIndex index{local_.exports(), config_.memory, moment(step.written), local_.limits()};
  Local::Return rest;
  rest.read = {step.row};
  rest.is_merger = is_merger;
  restore(step, accesses, rest, index);
  index.advance(std::max(moment(step.written), moment(now())));
  while (local_.bring_some(rest, index)) continue;
  return batch->accesses;
}

// Repeats the log as far as it concerns what comes back.
void StoreThread::bring_through_changes() {
  for (std::size_t done = 0; done < kMaxStep;) {
    if (const auto step = local_.next_step(replay_->returning)) {
      replay_row(*step);
      done += kRow + step->events;
      continue;
    }
    replay_->advance(moment(now()));
    if (!local_.bring_some(replay_->returning, replay_->index)) return replay_.reset();
    done += Local::kSlice;
  }
}

void StoreThread::replay_row(const Local::Return::Step& step) {
  Local::Return& returning = replay_->returning;
  PendingIndex& index = replay_->index;
  replay_->advance(moment(step.written));
  if (step.is_returning) {
    if (const auto batch = store_->read(step.sequence)) {
      AccessDecoder accesses{batch->entries};
      restore(step, accesses, returning, index);
      returning.read.push_back(step.row);
    } else {
      local_.lose(step.row);
    }
    returning.rows.pop_front();
  } else if (const auto changes = store_->read_changes(step.sequence)) {
    decode_changes(std::string_view{*changes}.substr(std::exchange(returning.changes_seen, 0)),
                   [&index](const Event& change) { index.take_in(change); });
  } else {
    returning.changes_seen = 0;
    kLog.error("moves and removals of {} are lost: accesses that waited for them may go to other files",
               format_rfc3339(step.written));
  }
  returning.last = step.sequence;
}

void StoreThread::restore(const Local::Return::Step& step, AccessDecoder& accesses, Local::Return& returning,
                          PendingIndex& index) {
  while (accesses.next()) {
    if (!step.comes(accesses.position())) continue;
    const std::string path = join(accesses.directory(), accesses.name());
    if (const auto place = local_.exports().place(path)) {
      index.restore(*place, accesses.time(), {step.row, true});
    } else {
      ++returning.outside;
    }
  }
}

void StoreThread::report() {
  const std::chrono::duration<double> time = std::chrono::steady_clock::now() - began_;
  kLog.info("all {} accesses of {} are read back: {:.1f} s, {:.0f}/s", log::field("accesses", existing_),
            log::field("directory", config_.directory), time.count(), static_cast<double>(existing_) / time.count());
  existing_ = 0;
}

void StoreThread::refused(Direction& direction, const StoreError& error) {
  direction.is_refused = true;
  direction.why = fmt::format("the backlog cannot be {}, {}: {}", direction.verb, direction.consequence, error.what());
  tell_trouble();
  kLog.error(direction.throttle, "the backlog cannot be {}, {}: {}", direction.verb, direction.consequence,
             error.what());
}

void StoreThread::taken(Direction& direction) {
  if (!std::exchange(direction.is_refused, false)) return;
  tell_trouble();
  kLog.info("the backlog is {} again", direction.verb);
}

// A log that is as large as it may be is nobody's fault but that of the servers that are away.
void StoreThread::tell_trouble() {
  const Local::Trouble full = is_full_ ? Local::Trouble::disk_full : Local::Trouble::none;
  local_.set_trouble(writing_.is_refused ? Local::Trouble::disk_failed : full);
  metrics_.degraded.set(writing_.is_refused || reading_.is_refused || is_full_ ? 1 : 0);
  update_alert();
}

// Accepted records must be kept: without a disk, or with no room left, others should receive.
void StoreThread::update_alert() {
  if (writing_.is_refused) return alerts_.raise("backlog", config_.directory, writing_.why, Alerts::Effect::unready);
  if (is_full_) {
    const bool is_dropping = local_.is_full();
    return alerts_.raise("backlog", config_.directory,
                         is_dropping ? "it has reached backlog.disk and backlog.memory: accesses to other paths are "
                                       "dropped; see why the servers take nothing, or raise them"
                                     : "it has reached backlog.disk, what comes waits in memory: see why the servers "
                                       "take nothing, or raise it",
                         is_dropping ? Alerts::Effect::unready : Alerts::Effect::degraded);
  }
  if (reading_.is_refused) return alerts_.raise("backlog", config_.directory, reading_.why);
  alerts_.resolve("backlog", config_.directory);
}

// Waits for a moment; not if it is too late.
bool StoreThread::may_try_again() {
  const MutexLock lock{mutex_};
  changed_.wait_for(mutex_, kRetry, [this]() QATIME_REQUIRES(mutex_) { return shutdown_.is_late(); });
  return !shutdown_.is_late();
}

}  // namespace qatime::backlog
