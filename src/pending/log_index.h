// SPDX-License-Identifier: MIT
// The index of the log: which of its rows are still needed.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "base/timestamp.h"
#include "pending/container/slab.h"

namespace qatime::backlog {

// States of an access of a row:
// - in memory: an item of the table knows the row;
// - on disk: it is there alone;
// - unneeded: it is settled, or in another row by now.
//
// A row of accesses is unneeded when all of its accesses are. Until then an item of the table holds it: the newest time
// of the item is in the row, or it is in none and the row has the latest one that the log has. So no access leaves the
// log before the one that stands for it is there. Where there are several such rows, a joint hold stands for all of
// them.
//
// A row of changes is needed for the retention after its arrival. It is also needed while an earlier row is, because
// accesses of that row follow the changes on their return.
//
// Slots name rows, and are used again. Costs are O(1) or O(log rows), except in unneeded(). One owner.
class LogIndex {
 public:
  struct Row {
    Slot next = kNoSlot;  // the slab's own
    std::uint64_t sequence = 0;
    Time written{};
    std::size_t bytes = 0;       // on disk
    std::uint32_t accesses = 0;  // in it
    std::uint32_t changes = 0;   // in it
    std::uint32_t in_memory = 0;
    std::uint32_t on_disk = 0;
    std::vector<bool> is_on_disk;  // by the position of the access; empty: all of them, or none
    bool is_committed = false;
    bool is_returning = false;  // for a moment some of its accesses are neither on disk alone nor in memory
  };

  // Adds a row. `sequence` is higher than all before.
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

  // `row` may be a joint hold.
  void hold(Slot row) noexcept { ++(is_joint(row) ? joints_[row & ~kJoint].holders : rows_[row].in_memory); }
  void release(Slot row) {
    if (is_joint(row)) return release_joint(row & ~kJoint);
    --rows_[row].in_memory;
  }

  // Returns a joint hold of both, each of which may be one itself. It ends in end_joints() when nobody holds it: what
  // leaves the table for a moment holds it again.
  [[nodiscard]] Slot join(Slot first, Slot second) {
    hold(first);
    hold(second);
    const Slot slot = joints_.allocate();
    joints_[slot] = {kNoSlot, first, second, 0};
    return slot | kJoint;
  }
  void end_joints() {
    while (!idle_.empty()) {
      const Slot slot = idle_.back();
      idle_.pop_back();
      if (!joints_.contains(slot)) continue;  // it is here twice
      const Joint joint = joints_[slot];
      if (joint.holders > 0 || joint.first == kNoSlot) continue;
      joints_[slot].first = kNoSlot;
      joints_.release(slot);
      release(joint.first);
      release(joint.second);
    }
  }

  // Adds an access to the row: on disk alone, or unneeded until hold() says that it is in memory.
  void append(Slot row, bool is_on_disk) {
    Row& itself = rows_[row];
    ++itself.accesses;
    if (!is_on_disk) return;
    itself.is_on_disk.resize(itself.accesses);
    itself.is_on_disk.back() = true;
    set_on_disk(row, itself.on_disk + 1);
  }

  // Sets how many of its accesses are on disk alone.
  void set_on_disk(Slot row, std::uint32_t count) noexcept {
    on_disk_ = on_disk_ - rows_[row].on_disk + count;
    rows_on_disk_ += std::size_t{count > 0} - std::size_t{rows_[row].on_disk > 0};
    rows_[row].on_disk = count;
    if (count == 0) rows_[row].is_on_disk = {};
  }

  // Notes that the log has the row, in `bytes` bytes.
  void commit(Slot row, std::size_t bytes) noexcept {
    Row& itself = rows_[row];
    if (!itself.is_on_disk.empty()) itself.is_on_disk.resize(itself.accesses);
    itself.is_committed = true;
    itself.bytes = bytes;
    bytes_ += bytes;
  }

  // Removes a row that the log no longer has.
  void close(Slot row) {
    bytes_ -= rows_[row].bytes;
    order_.erase(rows_[row].sequence);
    rows_[row].is_on_disk = {};
    rows_.release(row);
  }

  // Returns the committed rows that are unneeded at `now`. A row of changes is needed for `retention`, counted back
  // from `now` and from the first row with a needed access. O(rows).
  [[nodiscard]] std::vector<Slot> unneeded(Time now, std::chrono::nanoseconds retention) const {
    const auto is_live = [](const Row& row) {
      return !row.is_committed || row.is_returning || row.in_memory > 0 || row.on_disk > 0;
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

  // The rows in the order of their sequences.
  [[nodiscard]] const std::map<std::uint64_t, Slot>& order() const noexcept { return order_; }

  [[nodiscard]] std::size_t on_disk() const noexcept { return on_disk_; }
  [[nodiscard]] std::size_t rows_on_disk() const noexcept { return rows_on_disk_; }  // rows with such accesses
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }                // on disk

 private:
  struct Joint {
    Slot next = kNoSlot;  // the slab's own
    Slot first = kNoSlot;
    Slot second = kNoSlot;
    std::uint32_t holders = 0;
  };
  static constexpr Slot kJoint = Slot{1} << 31;
  static bool is_joint(Slot row) noexcept { return (row & kJoint) != 0; }
  void release_joint(Slot slot) {
    if (--joints_[slot].holders == 0) idle_.push_back(slot);
  }

  Slab<Row> rows_;
  Slab<Joint> joints_;
  std::vector<Slot> idle_;  // of joints_, perhaps twice; some have holders again
  std::map<std::uint64_t, Slot> order_;
  std::size_t on_disk_ = 0;
  std::size_t rows_on_disk_ = 0;
  std::size_t bytes_ = 0;
};

}  // namespace qatime::backlog
