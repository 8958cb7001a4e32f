// SPDX-License-Identifier: MIT
// A set of slots, found by a key that is part of the object. One owner.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "pending/container/prefetch.h"
#include "pending/container/slab.h"

namespace qatime::backlog {

// A hash set of slots, eight bytes each plus free room. The owner hashes and compares the keys. All 64 bits of a hash
// must be good.
//
// Objects are scattered over memory, so the cost of a search is the cache lines that it waits for. Each slot has 32
// bits of its hash beside it. A search therefore touches one line of the set, and hardly ever a wrong object. Both
// lines can be fetched ahead, by prefetch() and guess(), so that many searches wait at once. Boost's
// unordered_flat_set touches two lines, reads an object again to erase it, and tells nothing ahead;
// bench/pending_bench has both.
//
// The set has many small segments, because then no insertion has to move millions of slots. An empty segment gives its
// memory back.
class SlotSet {
 public:
  SlotSet() : segments_(kSegments) {}

  // Returns the slot with this hash for which matches(slot) is true; kNoSlot if there is none.
  template <class Matches>
  [[nodiscard]] Slot find(std::uint64_t hash, const Matches& matches) const {
    const Segment& segment = segment_of(hash);
    if (segment.size == 0) return kNoSlot;
    for (std::size_t at = segment.home(tag(hash));; at = segment.after(at)) {
      const Cell cell = segment[at];
      if (cell.slot == kNoSlot) return kNoSlot;
      if (cell.tag == tag(hash) && matches(cell.slot)) return cell.slot;
    }
  }

  // Brings the line in which find() begins into the caches.
  void prefetch(std::uint64_t hash) const noexcept {
    const Segment& segment = segment_of(hash);
    if (segment.size > 0) backlog::prefetch(segment[segment.home(tag(hash))]);
  }

  // Returns the slot that find() compares first, which is nearly always the one that it finds.
  [[nodiscard]] Slot guess(std::uint64_t hash) const noexcept {
    return find(hash, [](Slot) { return true; });
  }

  // Precondition: `slot` is not in the set.
  void insert(std::uint64_t hash, Slot slot) {
    Segment& segment = segment_of(hash);
    if ((segment.size + 1) * 4 > segment.capacity() * 3) resize(segment, segment.lines.size() * 3 / 2 + 1);
    put(segment, {tag(hash), slot});
    ++segment.size;
  }

  // Precondition: `slot` is in the set, with this hash.
  void erase(std::uint64_t hash, Slot slot) {
    Segment& segment = segment_of(hash);
    std::size_t gap = segment.home(tag(hash));
    while (segment[gap].slot != slot) gap = segment.after(gap);
    // Move later cells up if they belong at the gap or before it.
    for (std::size_t at = segment.after(gap); segment[at].slot != kNoSlot; at = segment.after(at)) {
      const std::size_t home = segment.home(segment[at].tag);
      const bool stays = gap < at ? gap < home && home <= at : gap < home || home <= at;
      if (stays) continue;
      segment[gap] = segment[at];
      gap = at;
    }
    segment[gap] = {};
    if (--segment.size == 0 && segment.lines.size() > kKept) resize(segment, 0);
  }

  [[nodiscard]] std::size_t bytes() const noexcept { return kSegments * sizeof(Segment) + lines_ * sizeof(Line); }

 private:
  struct Cell {
    std::uint32_t tag = 0;
    Slot slot = kNoSlot;
  };
  struct alignas(64) Line {
    std::array<Cell, 8> cells;
  };
  // Open addressing, linear probing, three quarters full at most. Cells are in the order of their tags, except those
  // that earlier cells have pushed on.
  struct Segment {
    std::vector<Line> lines;
    std::size_t size = 0;

    [[nodiscard]] std::size_t capacity() const noexcept { return lines.size() * kPerLine; }
    [[nodiscard]] std::size_t home(std::uint32_t tag) const noexcept { return tag * std::uint64_t{capacity()} >> 32; }
    [[nodiscard]] std::size_t after(std::size_t at) const noexcept { return at + 1 == capacity() ? 0 : at + 1; }
    [[nodiscard]] Cell& operator[](std::size_t at) noexcept { return lines[at / kPerLine].cells[at % kPerLine]; }
    [[nodiscard]] const Cell& operator[](std::size_t at) const noexcept {
      return lines[at / kPerLine].cells[at % kPerLine];
    }
  };

  static constexpr std::size_t kPerLine = 8;
  static constexpr std::size_t kSegments = 256;
  static constexpr std::size_t kKept = 8;  // lines of an empty segment

  static std::uint32_t tag(std::uint64_t hash) noexcept { return static_cast<std::uint32_t>(hash); }
  [[nodiscard]] Segment& segment_of(std::uint64_t hash) noexcept { return segments_[hash >> 56]; }
  [[nodiscard]] const Segment& segment_of(std::uint64_t hash) const noexcept { return segments_[hash >> 56]; }

  static void put(Segment& segment, Cell cell) noexcept {
    std::size_t at = segment.home(cell.tag);
    while (segment[at].slot != kNoSlot) at = segment.after(at);
    segment[at] = cell;
  }

  void resize(Segment& segment, std::size_t lines) {
    const std::vector<Line> old = std::exchange(segment.lines, std::vector<Line>(lines));
    lines_ = lines_ - old.size() + lines;
    for (const Line& line : old) {
      for (const Cell& cell : line.cells) {
        if (cell.slot != kNoSlot) put(segment, cell);
      }
    }
  }

  std::vector<Segment> segments_;
  std::size_t lines_ = 0;  // of all segments
};

}  // namespace qatime::backlog
