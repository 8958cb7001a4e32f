// SPDX-License-Identifier: MIT
// The upper level of the table: the directories in which something is pending.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/timestamp.h"
#include "pending/container/hash.h"
#include "pending/container/slab.h"
#include "pending/container/slot_set.h"

namespace qatime::backlog {

struct Directory {
  std::string path;
  std::uint32_t export_index = 0;
  std::uint32_t count = 0;    // of items in `waiting`
  SlotList waiting;           // items that may be taken, in the order in which they came
  SlotList apart;             // items in flight or put back for later
  Time newest = Time::min();  // no item has a newer time
  Slot next = kNoSlot;        // in the queue of the export, which holds directories with waiting items
  Slot previous = kNoSlot;
  Slot unsorted = kNoSlot;  // its position among the Directories that are in no order yet
};

// Directories by path and in the order of their paths. find() is O(1), the rest O(log directories). One owner.
//
// The latest thousand are sorted only when subtree() needs the order, because most directories are gone before that.
class Directories {
 public:
  Directories() = default;
  Directories(const Directories&) = delete;
  Directories& operator=(const Directories&) = delete;

  static std::uint64_t hash(std::string_view path) { return hash_bytes(path); }

  // Returns kNoSlot if there is none. Here and below `hash` is that of `path`.
  [[nodiscard]] Slot find(std::string_view path, std::uint64_t hash) const {
    return by_path_.find(hash, [&](Slot slot) { return slab_[slot].path == path; });
  }
  [[nodiscard]] Slot find(std::string_view path) const { return find(path, hash(path)); }

  // The set that find() searches, for prefetching.
  [[nodiscard]] const SlotSet& by_path() const noexcept { return by_path_; }

  // Adds a directory. Precondition: there is none of this path.
  Slot insert(std::string_view path, std::uint64_t hash, std::size_t export_index);

  // Precondition: the directory has no items.
  void erase(Slot slot);

  // Gives a directory another path, which no other directory has.
  void rename(Slot slot, std::string path, std::size_t export_index);

  // Returns the directory `path` and all below it.
  [[nodiscard]] std::vector<Slot> subtree(std::string_view path);

  [[nodiscard]] Directory& operator[](Slot slot) noexcept { return slab_[slot]; }
  [[nodiscard]] const Directory& operator[](Slot slot) const noexcept { return slab_[slot]; }
  [[nodiscard]] Slab<Directory>& slab() noexcept { return slab_; }

  [[nodiscard]] std::size_t bytes() const noexcept;

 private:
  void link(Slot slot, std::uint64_t hash);
  void unlink(Slot slot);
  void sort();

  static constexpr std::size_t kUnsorted = 1024;

  Slab<Directory> slab_;
  SlotSet by_path_;
  std::map<std::string_view, Slot> in_order_;  // the keys view Directory::path
  std::vector<Slot> unsorted_;                 // not in in_order_
  std::size_t path_bytes_ = 0;
};

}  // namespace qatime::backlog
