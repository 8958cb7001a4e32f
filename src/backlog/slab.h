// SPDX-License-Identifier: MIT
// Objects addressed by 32-bit slots, which cost half of a pointer, and lists that run through them. One owner.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <vector>

namespace qatime::backlog {

using Slot = std::uint32_t;
inline constexpr Slot kNoSlot = std::numeric_limits<Slot>::max();

// Holds objects that have a field `Slot next`, which is the slab's own while they are free. They are made once and
// used again: whoever allocates one sets all of its fields. References stay valid.
template <class T>
class Slab {
 public:
  [[nodiscard]] Slot allocate() {
    if (free_ == kNoSlot) grow();
    const Slot slot = free_;
    free_ = (*this)[slot].next;
    ++size_;
    return slot;
  }

  void release(Slot slot) noexcept {
    (*this)[slot].next = free_;
    free_ = slot;
    --size_;
  }

  [[nodiscard]] T& operator[](Slot slot) noexcept { return blocks_[slot / kBlock][slot % kBlock]; }
  [[nodiscard]] const T& operator[](Slot slot) const noexcept { return blocks_[slot / kBlock][slot % kBlock]; }

  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] std::size_t capacity() const noexcept { return blocks_.size() * kBlock; }
  [[nodiscard]] std::size_t bytes() const noexcept { return capacity() * sizeof(T); }

 private:
  static constexpr std::size_t kBlock = 1024;  // objects

  void grow() {
    const auto begin = static_cast<Slot>(capacity());
    blocks_.push_back(std::make_unique<T[]>(kBlock));
    for (std::size_t i = kBlock; i-- > 0;) {
      blocks_.back()[i].next = free_;
      free_ = begin + static_cast<Slot>(i);
    }
  }

  std::vector<std::unique_ptr<T[]>> blocks_;
  Slot free_ = kNoSlot;
  std::size_t size_ = 0;
};

// A doubly linked list through the fields `next` and `previous` of objects in a slab.
struct SlotList {
  Slot first = kNoSlot;
  Slot last = kNoSlot;
  [[nodiscard]] bool empty() const noexcept { return first == kNoSlot; }
};

template <class T>
void append(Slab<T>& slab, SlotList& list, Slot slot) noexcept {
  slab[slot].previous = list.last;
  slab[slot].next = kNoSlot;
  (list.empty() ? list.first : slab[list.last].next) = slot;
  list.last = slot;
}

template <class T>
void unlink(Slab<T>& slab, SlotList& list, Slot slot) noexcept {
  const Slot previous = slab[slot].previous;
  const Slot next = slab[slot].next;
  (previous == kNoSlot ? list.first : slab[previous].next) = next;
  (next == kNoSlot ? list.last : slab[next].previous) = previous;
}

}  // namespace qatime::backlog
