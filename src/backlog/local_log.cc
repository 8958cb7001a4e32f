// SPDX-License-Identifier: MIT
//
// The log holds what changed: the newest time of an entry under the path that it has at that moment, and moves and
// removals as they came. An access is written after all changes that it has been through, and before those that it has
// still to go through; so rows are either of accesses or of changes, and whoever reads them one after the other, with
// an index of its own, has what is pending.
//
// The log is cheap because only newest times are written, and only of accesses that are pending when a batch is made:
// intake notes the slot of an entry, once, and what is applied within `backlog.commit` never gets there.
#include <algorithm>
#include <iterator>
#include <limits>
#include <span>
#include <utility>

#include <boost/sort/spreadsort/integer_sort.hpp>

#include "backlog/local.h"
#include "base/timestamp.h"
#include "store/codec.h"

namespace qatime::backlog {
namespace {

// The log may be this much greater than what is pending takes in it: below it is not worth tidying.
constexpr std::size_t kIdleBytes = 8 << 20;
// Rows are kept in mind; of more of them than that, those that are mostly unneeded or hold little are made one.
constexpr std::size_t kIdleRows = 1024;

}  // namespace

void Local::load_existing(std::uint64_t sequence, Time written, std::uint32_t accesses, std::uint32_t changes,
                          std::size_t bytes) {
  const MutexLock lock{mutex_};
  const Slot row = log_index_.open(sequence, written);
  log_index_[row].accesses = accesses;
  log_index_[row].changes = changes;
  log_index_.commit(row, bytes);
  log_index_.set_on_disk(row, accesses);
  sequence_ = sequence;
  recovered_.add(accesses);
  publish();
}

void Local::remember(const Event& change) {
  const MutexLock lock{mutex_};
  index_.advance(clock_.now());
  if (index_.table().pending() > 0) {
    index_.take_in(change);
    return publish();
  }
  if (const auto* const move = std::get_if<Move>(&change)) index_.remember(*move);
  if (const auto* const removal = std::get_if<Removal>(&change)) index_.remember(*removal);
}

// Whatever came at about the same time is written directory by directory: that halves the log where hundreds of
// thousands of files are busy.
Local::Pass Local::begin_pass() {
  Pass pass{};
  std::deque<PendingTable::Unwritten> taken;
  {
    const MutexLock lock{mutex_};
    log_index_.end_joints();
    pass.unneeded = log_index_.unneeded(now(), limits_.retention);
    pass.is_full = unwritten_now() > 0 && log_index_.bytes() >= disk_;
    if (pass.is_full) return pass;
    taken = index_.table().take_unwritten();
    end_overflow();
    pass.overflows = overflows_.size();
    pass.events = events_;
  }
  std::vector<std::uint64_t> sorted;
  sorted.reserve(taken.size());
  for (const auto& unwritten : taken) sorted.push_back(std::uint64_t{unwritten.directory} << 32 | unwritten.item);
  boost::sort::spreadsort::integer_sort(sorted.begin(), sorted.end());
  pass.items.reserve(sorted.size());
  for (const std::uint64_t unwritten : sorted) pass.items.push_back(static_cast<Slot>(unwritten));
  return pass;
}

bool Local::write_some(Pass& pass, Draft& draft) {
  const MutexLock lock{mutex_};
  const Busy busy{*this};
  if (changes_count_ > 0) end_overflow();
  // Those that came since the pass began: before changes, and besides the items, lest they fill what there is for them.
  if (pass.overflows > 0 || (!overflows_.empty() && (changes_count_ > 0 || draft.bytes < max_row_))) {
    write_overflow(draft);
    if (pass.overflows > 0) --pass.overflows;
    return true;
  }
  if (changes_count_ > 0) {
    Draft::Part& part = open_part(draft);
    log_index_[part.row].changes = part.batch.changes_count = std::exchange(changes_count_, 0);
    part.batch.changes = std::exchange(changes_, {});
    draft.bytes += part.batch.changes.size();
  }
  const std::size_t count = std::min(pass.items.size() - pass.next, kSlice);
  if (count == 0) return false;
  const auto items = std::span<const Slot>{pass.items}.subspan(pass.next, count);
  pass.next += count;
  const bool goes_on = !draft.parts.empty() && !draft.parts.back().is_whole &&
                       draft.parts.back().batch.changes_count == 0 &&
                       draft.parts.back().batch.entries.size() < max_row_;
  Draft::Part& part = goes_on ? draft.parts.back() : open_part(draft);
  const std::size_t before = part.batch.entries.size();
  AccessEncoder encoder{part.batch.entries};
  const auto is_full = [this]() QATIME_REQUIRES(mutex_) { return index_.used_bytes() > high_water_; };
  index_.table().write(part.row, items, is_full, [&](const PendingTable::Written& access) QATIME_REQUIRES(mutex_) {
    if (access.mark != PendingTable::kNoMark && access.mark != index_.mark()) {
      const auto path = index_.current_path(join(access.directory, access.name), access.time, access.mark);
      const auto place = path ? exports_.place(*path) : std::nullopt;
      if (!place) return false;
      encoder.add(place->directory, place->name, access.time);
    } else {
      encoder.add(access.directory, access.name, access.time);
    }
    log_index_.append(part.row, !access.stays);
    return true;
  });
  draft.bytes += part.batch.entries.size() - before;
  part.batch.accesses = log_index_[part.row].accesses;
  if (part.batch.accesses == 0) {
    log_index_.close(part.row);
    draft.parts.pop_back();
  }
  return pass.next < pass.items.size();
}

// An access for which there is no room in the table, and which has been through all changes so far: as long as none
// comes that is in no row yet. Returns whether it was taken.
bool Local::overflow(const Place& place, Time time) {
  if (changes_count_ > 0 || trouble_ != Trouble::none || overflow_bytes_ >= kBurst) return false;
  const std::size_t before = overflow_.size();
  if (before == 0) overflow_.reserve(max_row_ + (1 << 10));
  overflow_encoder_.add(place.directory, place.name, time);
  ++overflow_count_;
  ++overflow_accesses_;
  overflow_bytes_ += overflow_.size() - before;
  if (overflow_.size() >= max_row_) end_overflow();
  return true;
}

void Local::end_overflow() {
  if (overflow_count_ == 0) return;
  overflows_.push_back({std::exchange(overflow_, {}), std::exchange(overflow_count_, 0)});
  overflow_encoder_.restart();
}

void Local::write_overflow(Draft& draft) {
  Overflow overflow = std::move(overflows_.front());
  overflows_.pop_front();
  overflow_bytes_ -= overflow.entries.size();
  overflow_accesses_ -= overflow.accesses;
  draft.bytes += overflow.entries.size();
  Draft::Part& part = open_part(draft);
  part.batch.entries = std::move(overflow.entries);
  part.is_whole = true;
  log_index_[part.row].accesses = part.batch.accesses = overflow.accesses;
  log_index_.set_on_disk(part.row, overflow.accesses);
}

Local::Draft::Part& Local::open_part(Draft& draft) {
  const Time written = now();
  const Slot row = log_index_.open(++sequence_, written);
  Draft::Part& part = draft.parts.emplace_back();
  part.row = row;
  part.batch.sequence = sequence_;
  part.batch.written = written;
  return part;
}

std::vector<std::uint64_t> Local::sequences(const std::vector<Slot>& rows) const {
  const MutexLock lock{mutex_};
  std::vector<std::uint64_t> found;
  found.reserve(rows.size());
  for (const Slot row : rows) found.push_back(log_index_[row].sequence);
  return found;
}

void Local::committed(const Draft& draft, const std::vector<Slot>& unneeded) {
  const MutexLock lock{mutex_};
  for (const auto& part : draft.parts) {
    log_index_.commit(part.row, part.batch.entries.size() + part.batch.changes.size());
  }
  for (const Slot row : unneeded) log_index_.close(row);
  is_patient_ = true;
  room_made_.notify_all();
}

void Local::renew() {
  std::vector<bool> is_sparse;  // by row
  {
    const MutexLock lock{mutex_};
    std::size_t needed = 0;
    std::size_t many = 0;  // that might be none
    const Time old = now() - limits_.retention;
    for (const auto& [sequence, row] : log_index_.order()) {
      const LogIndex::Row& itself = log_index_[row];
      if (itself.changes > 0 ? log_index_.on_disk() == 0 && itself.written < old : itself.on_disk == 0) ++many;
      if (itself.accesses > 0) needed += itself.bytes / itself.accesses * (itself.in_memory + itself.on_disk);
    }
    const bool is_many = many > kIdleRows;
    if (log_index_.bytes() <= 2 * needed + kIdleBytes && !is_many) return;
    for (const auto& [sequence, row] : log_index_.order()) {
      const LogIndex::Row& itself = log_index_[row];
      if (!itself.is_committed || itself.on_disk > 0 || itself.is_returning || itself.in_memory == 0) continue;
      if (!is_many && itself.in_memory > itself.accesses / 2) continue;
      is_sparse.resize(std::max(is_sparse.size(), std::size_t{row} + 1));
      is_sparse[row] = true;
    }
  }
  if (is_sparse.empty()) return;
  bool more = true;
  for (Slot begin = 0; more; begin += kSlice) {
    const MutexLock lock{mutex_};
    more = index_.table().renew(begin, kSlice, [&](Slot row) { return row < is_sparse.size() && is_sparse[row]; });
  }
}

Local::Return Local::begin_return() const {
  const MutexLock lock{mutex_};
  Return returning;
  const bool has_room = index_.used_bytes() <= memory_ / 2 || index_.table().pending() < kSlice;
  // A full log takes no row that is made of others, and memory has no room for them.
  returning.is_merger = !has_room && log_index_.rows_on_disk() > kIdleRows && log_index_.bytes() < disk_;
  if (log_index_.on_disk() == 0 || !(has_room || returning.is_merger)) return returning;
  const auto may_come = [&](const LogIndex::Row& row) {
    return row.is_committed && row.on_disk > 0 && (!returning.is_merger || row.bytes < max_row_ / 8);
  };
  const auto first = std::ranges::find_if(
      log_index_.order(), [&](const auto& row) QATIME_REQUIRES(mutex_) { return may_come(log_index_[row.second]); });
  if (first == log_index_.order().end()) return returning;
  const Time since = log_index_[first->second].written - limits_.retention;
  returning.last = first->first - 1;
  std::size_t room = memory_ / 8;
  for (const auto& [sequence, slot] : log_index_.order()) {
    const LogIndex::Row& row = log_index_[slot];
    if (row.changes > 0 && (sequence > first->first || row.written >= since)) {
      returning.has_changes = true;
      returning.last = std::min(returning.last, sequence - 1);
    }
    if (room == 0 && returning.has_changes) break;
    if (room == 0 || !may_come(row)) continue;
    // An access takes twice its bytes on disk in memory, more or less.
    const bool comes = sequence == first->first || 2 * row.bytes <= room;
    room = comes ? room - std::min(room, 2 * row.bytes) : 0;
    if (comes) returning.rows.push_back({slot, sequence, row.written, row.accesses, true, row.is_on_disk});
  }
  return returning;
}

std::optional<Local::Return::Step> Local::next_step(const Return& returning) const {
  const MutexLock lock{mutex_};
  for (auto at = log_index_.order().upper_bound(returning.last); at != log_index_.order().end(); ++at) {
    if (!returning.rows.empty() && returning.rows.front().sequence == at->first) return returning.rows.front();
    const LogIndex::Row& row = log_index_[at->second];
    if (row.changes > 0) return Return::Step{at->second, at->first, row.written, row.changes, false, {}};
  }
  return std::nullopt;
}

bool Local::bring_directly(const Return::Step& step, AccessDecoder& accesses, bool is_merger) {
  bool news = false;
  bool more = true;
  {
    const MutexLock lock{mutex_};
    LogIndex::Row& row = log_index_[step.row];
    if (!row.is_returning) {
      returning_ = row.on_disk;
      log_index_.set_on_disk(step.row, 0);
      row.is_returning = true;
    }
    if (changes_count_ > 0 && !accesses.at_end()) return false;
    index_.advance(clock_.now());
    std::string path;
    for (std::size_t left = kSlice; left > 0 && more; --left) {
      more = accesses.next();
      if (!more || !step.comes(accesses.position())) continue;
      --returning_;
      path = join(accesses.directory(), accesses.name());
      if (const auto place = exports_.place(path)) {
        index_.restore(*place, accesses.time(), {step.row, !is_merger});
      } else {
        dropped_.at(static_cast<std::size_t>(Dropped::outside))->add();
      }
    }
    row.is_returning = more;
    publish();
    news = index_.table().take_news();
  }
  if (news && wake_) wake_();
  return more;
}

bool Local::bring_some(Return& returning, PendingIndex& index) {
  bool news = false;
  bool more = false;
  {
    const MutexLock lock{mutex_};
    if (!std::exchange(returning.has_begun, true)) {
      for (const Slot row : returning.read) {
        if (log_index_[row].is_returning) continue;
        log_index_.set_on_disk(row, 0);
        log_index_[row].is_returning = true;
      }
      dropped_.at(static_cast<std::size_t>(Dropped::outside))->add(returning.outside);
    }
    decode_changes(std::string_view{changes_}.substr(returning.changes_seen),
                   [&](const Event& change) { index.take_in(change); });
    returning.changes_seen = changes_.size();
    count(index.take_counts());
    index_.advance(clock_.now());
    for (std::size_t export_index = 0; export_index < exports_.size(); ++export_index) {
      const Slice slice = index.table().take(export_index, kSlice, index.mark());
      for (const Entry& entry : slice.entries) {
        const std::string path = join(slice.directory, entry.name);
        PendingTable::Stored stored = index.table().stored(entry.ticket);
        stored.is_written = stored.is_written && !returning.is_merger;
        if (const auto place = exports_.place(path)) index_.restore(*place, entry.time, stored);
        index.table().settle(entry.ticket);
      }
    }
    returning_ = index.table().pending();
    if (returning_ == 0) {
      for (const Slot row : returning.read) log_index_[row].is_returning = false;
    }
    more = returning_ > 0;
    publish();
    news = index_.table().take_news();
  }
  if (news && wake_) wake_();
  return more;
}

void Local::lose(Slot row) {
  const MutexLock lock{mutex_};
  const std::size_t lost = log_index_[row].on_disk;
  log_index_.set_on_disk(row, 0);
  log_index_.close(row);
  publish();
  dropped_.at(static_cast<std::size_t>(Dropped::damaged))->add(lost);
}

std::size_t Local::disk_bytes() const {
  const MutexLock lock{mutex_};
  return log_index_.bytes();
}

std::size_t Local::rows() const {
  const MutexLock lock{mutex_};
  return log_index_.order().size();
}

std::size_t Local::on_disk() const {
  const MutexLock lock{mutex_};
  return log_index_.on_disk() + returning_;
}

}  // namespace qatime::backlog
