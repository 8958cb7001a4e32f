// SPDX-License-Identifier: MIT
#include "backlog/local.h"

#include <algorithm>
#include <cassert>
#include <variant>

#include "base/timestamp.h"

namespace qatime::backlog {
namespace {

// By Local::Dropped.
constexpr std::array kDroppedNames{"memory_full", "disk_full", "disk_failed", "damaged", "export"};

}  // namespace

Local::Local(const BacklogConfig& config, Exports exports, const Clock& clock, metrics::Registry& registry,
             HistoryLimits limits, Log log)
    : memory_{config.memory},
      disk_{config.disk},
      exports_{std::move(exports)},
      clock_{clock},
      limits_{limits},
      has_log_{log == Log::kept},
      max_row_{std::clamp<std::size_t>(memory_ / 32, 16 << 10, 4 << 20)},
      high_water_{memory_ / 4 * 3},
      much_unwritten_{std::clamp<std::size_t>(memory_ / 4096, 128, 65'536)},
      index_{exports_, memory_, clock.now(), limits, has_log_ ? &log_index_ : nullptr},
      invalidations_{memory_ / 8},
      recovered_{registry.counter("qatime_recovered_total",
                                  "Accesses that an earlier process had left in the backlog, or that a late move or "
                                  "removal brought back after they were counted as coalesced or cancelled")},
      coalesced_{
          registry.counter("qatime_coalesced_total", "Accesses that met another of the same path, the newer won")},
      cancelled_{registry.counter("qatime_cancelled_total", "Accesses to what was removed or replaced since")},
      repeated_{registry.counter("qatime_repeated_changes_total",
                                 "Moves and removals that had come before, and were not carried out again")},
      dropped_{},
      pending_{registry.gauge("qatime_pending_entries", "Accesses without outcome yet, waiting or in flight")},
      in_flight_{registry.gauge("qatime_in_flight", "Paths that are being worked on")},
      bytes_{registry.gauge("qatime_backlog_bytes", "Memory that the backlog takes")} {
  index_.on_change([this](const Event& change) QATIME_REQUIRES(mutex_) { learn(change); });
  if (has_log_) {
    index_.set_limit(memory_ + kBurst);
    index_.set_overflow(
        high_water_, [this](const Place& place, Time time) QATIME_REQUIRES(mutex_) { return overflow(place, time); });
  }
  for (std::size_t i = 0; i < dropped_.size(); ++i) {
    dropped_.at(i) =
        &registry.counter("qatime_dropped_total", "Accesses for which there was no room, or that were lost",
                          {"reason", kDroppedNames.at(i)});
    if (!has_log_) break;
  }
  publish();
}

void Local::add(Events events) {
  bool news = false;
  bool much_unwritten = false;
  PendingIndex::locate(exports_, events, places_);
  {
    const MutexLock lock{mutex_};
    wait_for_room();
    const std::size_t unwritten = unwritten_now();
    take_in(events);
    news = index_.table().take_news();
    much_unwritten = unwritten < much_unwritten_ && unwritten_now() >= much_unwritten_;
  }
  if (news && wake_) wake_();
  if (much_unwritten && wake_store_thread_) wake_store_thread_();
}

// A sender faster than the disk is slowed down before any access is lost.
void Local::wait_for_room() {
  if (has_room() || !is_patient_ || trouble_ != Trouble::none) return;
  if (wake_store_thread_) wake_store_thread_();
  is_patient_ = room_made_.wait_for(
      mutex_, patience_, [this]() QATIME_REQUIRES(mutex_) { return has_room() || trouble_ != Trouble::none; });
}

// For what one add() brings. It needs none in the table, however full that is, as long as it may overflow.
bool Local::has_room() const noexcept {
  if (!has_log_) return true;
  if (changes_count_ > 0 && index_.used_bytes() + overflow_bytes_ + kBurstLeft > memory_ + kBurst) return false;
  return overflow_bytes_ + kBurstLeft <= kBurst;
}

void Local::take_in(Events events) {
  const Busy busy{*this};
  index_.advance(clock_.now());
  if (has_log_ && trouble_ == Trouble::none) {
    index_.set_limit(memory_ + kBurst - std::min(kBurst, overflow_bytes_));
  }
  index_.take_in(events, places_);
  events_ += events.size();
}

// A change is in the log behind all that came before it, and before what has been through it.
void Local::learn(const Event& change) {
  if (has_log_) ++changes_count_;
  if (const auto* const move = std::get_if<Move>(&change)) {
    invalidations_.add(move->path);
    invalidations_.add(move->target);
    if (has_log_) encode(*move, changes_);
  } else if (const auto* const removal = std::get_if<Removal>(&change)) {
    invalidations_.add(removal->path);
    if (has_log_) encode(*removal, changes_);
  }
}

Slice Local::take(std::size_t export_index, std::size_t limit) {
  const MutexLock lock{mutex_};
  index_.table().advance(clock_.now());
  Slice slice = index_.table().take(export_index, limit, index_.mark());
  publish();
  return slice;
}

Slice Local::take_wanted(std::size_t export_index, std::size_t limit, const Wants& wants) {
  const MutexLock lock{mutex_};
  index_.table().advance(clock_.now());
  Slice slice = index_.table().take_wanted(export_index, limit, index_.mark(), wants);
  publish();
  return slice;
}

Slice Local::take_newest(std::size_t export_index, const Suits& suits) {
  const MutexLock lock{mutex_};
  index_.table().advance(clock_.now());
  Slice slice = index_.table().take_newest(export_index, suits, index_.mark());
  publish();
  return slice;
}

void Local::take_more(Slice& slice, std::size_t limit) {
  const MutexLock lock{mutex_};
  index_.table().take_more(slice, limit, index_.mark());
  publish();
}

void Local::settle(Ticket ticket) {
  if (deferred_settles_.leave(ticket, pending_)) return;
  const MutexLock lock{mutex_};
  assert(index_.table().flight(ticket));
  index_.table().settle(ticket);
  publish();
}

void Local::put_back(Ticket ticket, Clock::Instant not_before, Retry retry) {
  const MutexLock lock{mutex_};
  if (!index_.follow_flight(ticket) && index_.table().put_back(ticket, not_before, retry)) coalesced_.add();
  publish();
}

bool Local::reconsider(Ticket ticket) {
  const MutexLock lock{mutex_};
  const bool explained = index_.follow_flight(ticket);
  publish();
  return explained;
}

Invalidations Local::take_invalidations() {
  const MutexLock lock{mutex_};
  return invalidations_.take();
}

std::optional<Clock::Instant> Local::next_due() const {
  const MutexLock lock{mutex_};
  return index_.table().next_due();
}

std::size_t Local::pending() const {
  const MutexLock lock{mutex_};
  return pending_now();
}

void Local::set_trouble(Trouble trouble) {
  const MutexLock lock{mutex_};
  trouble_ = trouble;
  index_.set_limit(memory_ + (trouble == Trouble::none ? kBurst : 0));
  room_made_.notify_all();
}

bool Local::is_full() const {
  const MutexLock lock{mutex_};
  return index_.bytes() >= memory_;
}

std::size_t Local::in_flight() const {
  const MutexLock lock{mutex_};
  return index_.table().in_flight();
}

std::chrono::seconds Local::oldest() const {
  const MutexLock lock{mutex_};
  const auto here = index_.table().oldest(clock_.now());
  for (const auto& [sequence, row] : log_index_.order()) {
    if (log_index_[row].on_disk == 0 && !log_index_[row].is_returning) continue;
    return std::max(here, std::chrono::duration_cast<std::chrono::seconds>(now() - log_index_[row].written));
  }
  return here;
}

std::size_t Local::bytes() const noexcept {
  return index_.bytes() + invalidations_.bytes() + changes_.size() + overflow_bytes_;
}

std::size_t Local::pending_now() const noexcept {
  return index_.table().pending() + log_index_.on_disk() + returning_ + overflow_accesses_;
}

std::size_t Local::unwritten_now() const noexcept { return index_.table().unwritten() + overflow_accesses_; }

void Local::count(const PendingIndex::Counts& counts) {
  recovered_.add(counts.recovered);
  coalesced_.add(counts.coalesced);
  cancelled_.add(counts.cancelled);
  repeated_.add(counts.repeated);
  const Trouble trouble = has_log_ && trouble_ == Trouble::none ? Trouble::disk_failed : trouble_;
  if (counts.refused > 0) dropped_.at(static_cast<std::size_t>(trouble))->add(counts.refused);
  events_ -= counts.refused;
}

// In such an order that whoever reads the counters in between finds outcomes for less than came in, never for more.
void Local::publish() {
  PendingIndex::Counts counts = index_.take_counts();
  recovered_.add(std::exchange(counts.recovered, 0));
  pending_.set(static_cast<std::int64_t>(pending_now()));
  count(counts);
  in_flight_.set(static_cast<std::int64_t>(index_.table().in_flight()));
  bytes_.set(static_cast<std::int64_t>(bytes()));
}

}  // namespace qatime::backlog
