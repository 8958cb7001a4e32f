// SPDX-License-Identifier: MIT
// Finds the slot of an object by a key that is part of the object. One owner.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "pending/container/prefetch.h"
#include "pending/container/slab.h"

namespace qatime::backlog {

// A hash set of slots, eight bytes each and the free room. The owner hashes and compares the keys; hashes are good in
// all of their 64 bits.
//
// Objects are scattered over memory, so what counts is how many cache lines a search waits for, and whether it can wait
// for many at once. 32 bits of the hash stand beside each slot: a search touches one line of the set, and hardly ever
// an object that is not the right one, and prefetch() and guess() tell ahead which lines that will be. Boost's
// unordered_flat_set touches two lines, reads an object again to erase it, and tells nothing ahead; bench/table_bench
// has both.
//
// It consists of many small tables, so that no single insertion has to move millions of slots into a larger one. A
// table gives its memory back when it is empty.
class SlotSet {
 public:
  SlotSet() : tables_(kTables) {}

  // The slot with this hash for which matches(slot) is true; kNoSlot if there is none.
  template <class Matches>
  [[nodiscard]] Slot find(std::uint64_t hash, const Matches& matches) const {
    const Table& table = table_of(hash);
    if (table.size == 0) return kNoSlot;
    for (std::size_t at = table.home(tag(hash));; at = table.after(at)) {
      const Entry entry = table[at];
      if (entry.slot == kNoSlot) return kNoSlot;
      if (entry.tag == tag(hash) && matches(entry.slot)) return entry.slot;
    }
  }

  // Has the line in which find() begins brought into the caches.
  void prefetch(std::uint64_t hash) const noexcept {
    const Table& table = table_of(hash);
    if (table.size > 0) backlog::prefetch(table[table.home(tag(hash))]);
  }

  // The slot which find() compares first; nearly always the one that it finds.
  [[nodiscard]] Slot guess(std::uint64_t hash) const noexcept {
    return find(hash, [](Slot) { return true; });
  }

  // `slot` is not in the set.
  void insert(std::uint64_t hash, Slot slot) {
    Table& table = table_of(hash);
    if ((table.size + 1) * 4 > table.capacity() * 3) resize(table, table.lines.size() * 3 / 2 + 1);
    put(table, {tag(hash), slot});
    ++table.size;
  }

  // `slot` is in the set, with this hash.
  void erase(std::uint64_t hash, Slot slot) {
    Table& table = table_of(hash);
    std::size_t gap = table.home(tag(hash));
    while (table[gap].slot != slot) gap = table.after(gap);
    // What follows moves up, as far as it belongs at the gap or before it.
    for (std::size_t at = table.after(gap); table[at].slot != kNoSlot; at = table.after(at)) {
      const std::size_t home = table.home(table[at].tag);
      const bool stays = gap < at ? gap < home && home <= at : gap < home || home <= at;
      if (stays) continue;
      table[gap] = table[at];
      gap = at;
    }
    table[gap] = {};
    if (--table.size == 0 && table.lines.size() > kKept) resize(table, 0);
  }

  [[nodiscard]] std::size_t bytes() const noexcept { return kTables * sizeof(Table) + lines_ * sizeof(Line); }

 private:
  struct Entry {
    std::uint32_t tag = 0;
    Slot slot = kNoSlot;
  };
  struct alignas(64) Line {
    std::array<Entry, 8> entries;
  };
  // Open addressing, linear probing, three quarters full at most. Entries are in the order of their tags, but for those
  // that the ones before them have pushed on.
  struct Table {
    std::vector<Line> lines;
    std::size_t size = 0;

    [[nodiscard]] std::size_t capacity() const noexcept { return lines.size() * kPerLine; }
    [[nodiscard]] std::size_t home(std::uint32_t tag) const noexcept { return tag * std::uint64_t{capacity()} >> 32; }
    [[nodiscard]] std::size_t after(std::size_t at) const noexcept { return at + 1 == capacity() ? 0 : at + 1; }
    [[nodiscard]] Entry& operator[](std::size_t at) noexcept { return lines[at / kPerLine].entries[at % kPerLine]; }
    [[nodiscard]] const Entry& operator[](std::size_t at) const noexcept {
      return lines[at / kPerLine].entries[at % kPerLine];
    }
  };

  static constexpr std::size_t kPerLine = 8;
  static constexpr std::size_t kTables = 256;
  static constexpr std::size_t kKept = 8;  // lines of an empty table

  static std::uint32_t tag(std::uint64_t hash) noexcept { return static_cast<std::uint32_t>(hash); }
  [[nodiscard]] Table& table_of(std::uint64_t hash) noexcept { return tables_[hash >> 56]; }
  [[nodiscard]] const Table& table_of(std::uint64_t hash) const noexcept { return tables_[hash >> 56]; }

  static void put(Table& table, Entry entry) noexcept {
    std::size_t at = table.home(entry.tag);
    while (table[at].slot != kNoSlot) at = table.after(at);
    table[at] = entry;
  }

  void resize(Table& table, std::size_t lines) {
    const std::vector<Line> old = std::exchange(table.lines, std::vector<Line>(lines));
    lines_ = lines_ - old.size() + lines;
    for (const Line& line : old) {
      for (const Entry& entry : line.entries) {
        if (entry.slot != kNoSlot) put(table, entry);
      }
    }
  }

  std::vector<Table> tables_;
  std::size_t lines_ = 0;  // of all tables
};

}  // namespace qatime::backlog
