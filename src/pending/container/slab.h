// SPDX-License-Identifier: MIT
// Objects addressed by 32-bit slots, which cost half of a pointer, and lists that run through them. One owner.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

namespace qatime::backlog {

using Slot = std::uint32_t;
inline constexpr Slot kNoSlot = std::numeric_limits<Slot>::max();

// A doubly linked list of slots, through the fields `next` and `previous` of their objects.
struct SlotList {
  Slot first = kNoSlot;
  Slot last = kNoSlot;
  [[nodiscard]] bool empty() const noexcept { return first == kNoSlot; }
};

template <class Objects>
void append(Objects& objects, SlotList& list, Slot slot) noexcept {
  objects[slot].previous = list.last;
  objects[slot].next = kNoSlot;
  (list.empty() ? list.first : objects[list.last].next) = slot;
  list.last = slot;
}

template <class Objects>
void unlink(Objects& objects, SlotList& list, Slot slot) noexcept {
  const Slot previous = objects[slot].previous;
  const Slot next = objects[slot].next;
  (previous == kNoSlot ? list.first : objects[previous].next) = next;
  (next == kNoSlot ? list.last : objects[next].previous) = previous;
}

// Holds objects that have a field `Slot next`, which the slab owns while they are free. Objects are used again, so the
// caller of allocate() sets all fields. References stay valid until the release.
//
// Memory comes and goes in blocks. The slab keeps at most one empty block.
template <class T>
class Slab {
 public:
  static constexpr std::size_t kBlock = 1024;  // objects

  [[nodiscard]] Slot allocate() {
    if (open_.empty()) grow();
    const Slot at = open_.first;
    Block& block = blocks_[at];
    const Slot slot = block.free;
    block.free = (*this)[slot].next;
    if (++block.used == kBlock) unlink(blocks_, open_, at);
    ++size_;
    return slot;
  }

  void release(Slot slot) noexcept {
    const auto at = static_cast<Slot>(slot / kBlock);
    Block& block = blocks_[at];
    (*this)[slot].next = std::exchange(block.free, slot);
    if (block.used-- == kBlock) append(blocks_, open_, at);
    --size_;
    if (block.used == 0 && capacity_ - size_ > kBlock) shrink(at);
  }

  [[nodiscard]] T& operator[](Slot slot) noexcept { return blocks_[slot / kBlock].objects[slot % kBlock]; }
  [[nodiscard]] const T& operator[](Slot slot) const noexcept { return blocks_[slot / kBlock].objects[slot % kBlock]; }

  // Whether `slot` has an object, free or in use.
  [[nodiscard]] bool contains(Slot slot) const noexcept {
    return slot / kBlock < blocks_.size() && blocks_[slot / kBlock].objects;
  }

  // An upper bound of the slots, exclusive.
  [[nodiscard]] std::size_t slots() const noexcept { return blocks_.size() * kBlock; }

  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] std::size_t bytes() const noexcept { return capacity_ * sizeof(T) + blocks_.size() * sizeof(Block); }
  // The part of bytes() that is free for further objects.
  [[nodiscard]] std::size_t spare_bytes() const noexcept { return (capacity_ - size_) * sizeof(T); }

 private:
  struct Block {
    std::unique_ptr<T[]> objects;  // null while the block has no memory
    Slot free = kNoSlot;           // the first of its free objects
    std::uint32_t used = 0;
    Slot next = kNoSlot;  // in open_ or absent_
    Slot previous = kNoSlot;
  };

  void grow() {
    if (absent_.empty()) {
      blocks_.emplace_back();
      append(blocks_, absent_, static_cast<Slot>(blocks_.size() - 1));
    }
    const Slot at = absent_.first;
    blocks_[at].objects = std::make_unique<T[]>(kBlock);
    const auto begin = static_cast<Slot>(at * kBlock);
    for (std::size_t i = kBlock; i-- > 0;) {
      blocks_[at].objects[i].next = std::exchange(blocks_[at].free, begin + static_cast<Slot>(i));
    }
    unlink(blocks_, absent_, at);
    append(blocks_, open_, at);
    capacity_ += kBlock;
  }

  void shrink(Slot at) noexcept {
    unlink(blocks_, open_, at);
    append(blocks_, absent_, at);
    blocks_[at].objects.reset();
    blocks_[at].free = kNoSlot;
    capacity_ -= kBlock;
  }

  std::vector<Block> blocks_;
  SlotList open_;    // blocks with free objects
  SlotList absent_;  // blocks without memory
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

}  // namespace qatime::backlog
