// SPDX-License-Identifier: MIT
// The upper level of the table: the directories in which something is pending.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "backlog/hash.h"
#include "backlog/slab.h"
#include "backlog/slot_set.h"
#include "timestamp.h"

namespace qatime::backlog {

struct Directory {
  std::string path;
  std::uint32_t lane = 0;
  std::uint32_t count = 0;    // of items in `waiting`
  SlotList waiting;           // items that may be taken, in the order in which they came
  SlotList apart;             // items in flight or put back for later
  Time newest = Time::min();  // no item has a newer time
  Slot next = kNoSlot;        // in the queue of the lane, where a directory is while something is waiting in it
  Slot previous = kNoSlot;
};

// Directories by path and in the order of their paths. Finding one is O(1), the rest O(log directories). One owner.
class Directories {
 public:
  Directories() : by_path_{Paths{&slab_}} {}
  Directories(const Directories&) = delete;
  Directories& operator=(const Directories&) = delete;

  // kNoSlot if there is none.
  [[nodiscard]] Slot find(std::string_view path) const { return by_path_.find(path); }

  // There is none of this path.
  Slot insert(std::string_view path, std::size_t lane);

  // It has no items.
  void erase(Slot slot);

  // Gives a directory another path, which no other has.
  void rename(Slot slot, std::string path, std::size_t lane);

  // The directory `path` and all below it.
  [[nodiscard]] std::vector<Slot> subtree(std::string_view path) const;

  [[nodiscard]] Directory& operator[](Slot slot) noexcept { return slab_[slot]; }
  [[nodiscard]] const Directory& operator[](Slot slot) const noexcept { return slab_[slot]; }
  [[nodiscard]] Slab<Directory>& slab() noexcept { return slab_; }

  [[nodiscard]] std::size_t bytes() const noexcept;

 private:
  struct Paths {
    using Key = std::string_view;
    const Slab<Directory>* slab;
    Key operator()(Slot slot) const { return (*slab)[slot].path; }
    static std::size_t hash(Key path) { return hash_bytes(path); }
  };
  void link(Slot slot);
  void unlink(Slot slot);

  Slab<Directory> slab_;
  SlotSet<Paths> by_path_;
  std::map<std::string_view, Slot> in_order_;  // the keys view Directory::path
  std::size_t path_bytes_ = 0;
};

}  // namespace qatime::backlog
