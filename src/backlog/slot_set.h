// SPDX-License-Identifier: MIT
// Finds the slot of an object by a key that is part of the object. One owner.
#pragma once

#include <cstddef>
#include <vector>

#include <boost/unordered/unordered_flat_set.hpp>

#include "backlog/slab.h"

namespace qatime::backlog {

// A hash set of slots, five bytes each and the free room. `Keys` says what they mean: `Keys::Key`, which compares
// with ==, `Key operator()(Slot) const`, and `static std::size_t hash(const Key&)`, good in all of its bits. It is
// copied.
//
// It consists of many small tables, so that no single insertion has to move millions of slots into a larger one. A
// table gives its memory back when it is empty.
template <class Keys>
class SlotSet {
 public:
  using Key = typename Keys::Key;

  explicit SlotSet(const Keys& keys) : tables_(kTables, Table(0, Hash{keys}, Equal{keys})) {}

  // kNoSlot if there is none.
  [[nodiscard]] Slot find(const Key& key) const {
    const Probe probe{key, Keys::hash(key)};
    const Table& table = tables_[index(probe.hash)];
    const auto found = table.find(probe);
    return found == table.end() ? kNoSlot : *found;
  }

  // The object in `slot` has its key, which no other has.
  void insert(Slot slot) {
    Table& table = table_of(slot);
    buckets_ -= table.bucket_count();
    table.insert(slot);
    buckets_ += table.bucket_count();
  }

  // The object in `slot` still has the key it was inserted with.
  void erase(Slot slot) {
    Table& table = table_of(slot);
    table.erase(slot);
    if (!table.empty() || table.bucket_count() <= kKept) return;
    buckets_ -= table.bucket_count();
    table.rehash(0);
    buckets_ += table.bucket_count();
  }

  [[nodiscard]] std::size_t bytes() const noexcept {
    // Boost keeps 15 elements and 16 bytes of metadata in a group.
    return kTables * sizeof(Table) + buckets_ * sizeof(Slot) + buckets_ * 16 / 15;
  }

 private:
  struct Probe {
    const Key& key;
    std::size_t hash;
  };
  struct Hash {
    using is_transparent = void;
    Keys keys;
    std::size_t operator()(Slot slot) const { return Keys::hash(keys(slot)); }
    std::size_t operator()(const Probe& probe) const { return probe.hash; }
  };
  struct Equal {
    using is_transparent = void;
    Keys keys;
    bool operator()(Slot a, Slot b) const { return a == b; }
    bool operator()(Slot slot, const Probe& probe) const { return keys(slot) == probe.key; }
    bool operator()(const Probe& probe, Slot slot) const { return keys(slot) == probe.key; }
  };
  using Table = boost::unordered_flat_set<Slot, Hash, Equal>;

  static constexpr std::size_t kTables = 256;
  static constexpr std::size_t kKept = 64;  // buckets of an empty table

  static std::size_t index(std::size_t hash) noexcept { return hash >> (sizeof hash * 8 - 8); }
  Table& table_of(Slot slot) { return tables_[index(tables_.front().hash_function()(slot))]; }

  std::vector<Table> tables_;
  std::size_t buckets_ = 0;  // of all tables
};

}  // namespace qatime::backlog
