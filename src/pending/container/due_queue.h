// SPDX-License-Identifier: MIT
// A queue of objects by the moment at which they are due. One owner.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <utility>

#include "base/clock.h"
#include "pending/container/slab.h"

namespace qatime::backlog {

// Orders objects of a slab by the moment for which they wait. They have a field `Slot position`, which the queue owns
// while they are in it. Insertion and removal are O(log size).
//
// It is a binary heap in a deque, so its memory grows and shrinks in small pieces.
template <class T>
class DueQueue {
 public:
  // Twelve bytes. The moment is split into halves, because a whole one would need padding.
  class Due {
   public:
    Due(Clock::Instant moment, Slot slot) noexcept
        : upper_{static_cast<std::uint32_t>(moment.time_since_epoch().count() >> 32)},
          lower_{static_cast<std::uint32_t>(moment.time_since_epoch().count())},
          slot_{slot} {}
    [[nodiscard]] Clock::Instant moment() const noexcept {
      return Clock::Instant{Clock::Duration{static_cast<std::int64_t>(std::uint64_t{upper_} << 32 | lower_)}};
    }
    [[nodiscard]] Slot slot() const noexcept { return slot_; }
    friend bool operator<(const Due& a, const Due& b) noexcept {
      return std::pair{a.moment(), a.slot_} < std::pair{b.moment(), b.slot_};
    }

   private:
    std::uint32_t upper_;
    std::uint32_t lower_;
    Slot slot_;
  };

  explicit DueQueue(Slab<T>& slab) : slab_{slab} {}

  [[nodiscard]] bool empty() const noexcept { return heap_.empty(); }
  [[nodiscard]] const Due& first() const noexcept { return heap_.front(); }

  void insert(Clock::Instant moment, Slot slot) {
    heap_.push_back({moment, slot});
    rise(heap_.size() - 1, {moment, slot});
  }

  void erase(Slot slot) {
    const Due last = heap_.back();
    heap_.pop_back();
    if (last.slot() == slot) return;
    const std::size_t gap = slab_[slot].position;
    if (gap > 0 && last < heap_[parent(gap)]) {
      rise(gap, last);
    } else {
      sink(gap, last);
    }
  }

  [[nodiscard]] std::size_t bytes() const noexcept { return heap_.size() * sizeof(Due); }

 private:
  static std::size_t parent(std::size_t at) noexcept { return (at - 1) / 2; }

  void put(std::size_t at, const Due& due) {
    heap_[at] = due;
    slab_[due.slot()].position = static_cast<Slot>(at);
  }

  // Move the gap `at` up or down to where `due` belongs, and fill it.
  void rise(std::size_t at, const Due& due) {
    for (; at > 0 && due < heap_[parent(at)]; at = parent(at)) put(at, heap_[parent(at)]);
    put(at, due);
  }

  void sink(std::size_t at, const Due& due) {
    for (std::size_t child = 2 * at + 1; child < heap_.size(); child = 2 * at + 1) {
      if (child + 1 < heap_.size() && heap_[child + 1] < heap_[child]) ++child;
      if (due < heap_[child]) break;
      put(at, heap_[child]);
      at = child;
    }
    put(at, due);
  }

  Slab<T>& slab_;
  std::deque<Due> heap_;  // no parent is later than its children
};

}  // namespace qatime::backlog
