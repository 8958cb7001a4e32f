// SPDX-License-Identifier: MIT
// What is still needed of the log, row by row.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include "base/timestamp.h"
#include "pending/container/slab.h"

namespace qatime::backlog {

// The accesses of a row are resident, each in an entry of the table that knows its row; or away, on disk alone; or
// spent: settled, or in another row by now. A row whose accesses are all spent is dead. One of changes is needed as
// long as a row before it is, whose accesses have to follow the changes when they come back, and a while after its
// arrival.
//
// Rows are named by slots, which are used again. All is O(1) or O(log rows). One owner.
class LogIndex {
 public:
  struct Row {
    Slot next = kNoSlot;  // the slab's own
    std::uint64_t sequence = 0;
    Time written{};
    std::size_t bytes = 0;       // on disk
    std::uint32_t accesses = 0;  // in it
    std::uint32_t changes = 0;   // in it
    std::uint32_t resident = 0;
    std::uint32_t away = 0;
    std::vector<bool> is_away;  // by the position of the access; empty: all, if any
    bool is_committed = false;
    bool is_returning = false;  // some of its accesses are neither away nor resident for a moment
  };

  // `sequence` is higher than all before. All its accesses are spent until the calls below say otherwise.
  Slot open(std::uint64_t sequence, Time written) {
    const Slot slot = rows_.allocate();
    rows_[slot] = Row{};
    rows_[slot].sequence = sequence;
    rows_[slot].written = written;
    order_.emplace_hint(order_.end(), sequence, slot);
    return slot;
  }

  [[nodiscard]] Row& operator[](Slot row) noexcept { return rows_[row]; }
  [[nodiscard]] const Row& operator[](Slot row) const noexcept { return rows_[row]; }

  void hold(Slot row) noexcept { ++rows_[row].resident; }
  void release(Slot row) noexcept { --rows_[row].resident; }

  // One more access is in it, and away from now on; or resident if somebody calls hold().
  void append(Slot row, bool is_away) {
    Row& itself = rows_[row];
    ++itself.accesses;
    if (!is_away) return;
    itself.is_away.resize(itself.accesses);
    itself.is_away.back() = true;
    set_away(row, itself.away + 1);
  }

  // How many of its accesses are away now.
  void set_away(Slot row, std::uint32_t count) noexcept {
    away_ = away_ - rows_[row].away + count;
    away_rows_ += std::size_t{count > 0} - std::size_t{rows_[row].away > 0};
    rows_[row].away = count;
    if (count == 0) rows_[row].is_away = {};
  }

  // The row was written, in this many bytes.
  void commit(Slot row, std::size_t bytes) noexcept {
    Row& itself = rows_[row];
    if (!itself.is_away.empty()) itself.is_away.resize(itself.accesses);
    itself.is_committed = true;
    itself.bytes = bytes;
    bytes_ += bytes;
  }

  // It is in no log any more.
  void close(Slot row) {
    bytes_ -= rows_[row].bytes;
    order_.erase(rows_[row].sequence);
    rows_[row].is_away = {};
    rows_.release(row);
  }

  // Committed rows that nobody needs. Changes are needed as long as accesses that are older than they are, or came up
  // to `retention` later; and until they are so old at `now`.
  [[nodiscard]] std::vector<Slot> dead(Time now, std::chrono::nanoseconds retention) const {
    const auto is_live = [](const Row& row) {
      return !row.is_committed || row.is_returning || row.resident > 0 || row.away > 0;
    };
    const auto first = std::ranges::find_if(order_, [&](const auto& row) { return is_live(rows_[row.second]); });
    const Time since = first == order_.end() ? now : std::min(now, rows_[first->second].written);
    std::vector<Slot> found;
    for (const auto& [sequence, slot] : order_) {
      const Row& row = rows_[slot];
      if (is_live(row)) continue;
      const bool is_behind_first = first != order_.end() && sequence > first->first;
      if (row.changes > 0 && (is_behind_first || row.written >= since - retention)) continue;
      found.push_back(slot);
    }
    return found;
  }

  // In the order of their sequences.
  [[nodiscard]] const std::map<std::uint64_t, Slot>& order() const noexcept { return order_; }

  [[nodiscard]] std::size_t away() const noexcept { return away_; }
  [[nodiscard]] std::size_t away_rows() const noexcept { return away_rows_; }  // in which some are
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }          // on disk

 private:
  Slab<Row> rows_;
  std::map<std::uint64_t, Slot> order_;
  std::size_t away_ = 0;
  std::size_t away_rows_ = 0;
  std::size_t bytes_ = 0;
};

}  // namespace qatime::backlog
