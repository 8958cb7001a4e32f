// SPDX-License-Identifier: MIT
#include "pending/directories.h"

#include <cassert>
#include <utility>

#include "pending/container/allocation.h"

namespace qatime::backlog {
namespace {

// Bytes that a string takes beside itself.
std::size_t heap_bytes(const std::string& text) {
  static const std::size_t inside = std::string{}.capacity();
  return text.capacity() > inside ? allocation_bytes(text.capacity() + 1) : 0;
}

}  // namespace

Slot Directories::insert(std::string_view path, std::uint64_t hash, std::size_t export_index) {
  const Slot slot = slab_.allocate();
  slab_[slot] = Directory{};
  slab_[slot].path = path;
  slab_[slot].export_index = static_cast<std::uint32_t>(export_index);
  link(slot, hash);
  return slot;
}

void Directories::erase(Slot slot) {
  assert(slab_[slot].waiting.empty() && slab_[slot].apart.empty());
  unlink(slot);
  slab_[slot].path = std::string{};
  slab_.release(slot);
}

void Directories::rename(Slot slot, std::string path, std::size_t export_index) {
  unlink(slot);
  slab_[slot].path = std::move(path);
  slab_[slot].export_index = static_cast<std::uint32_t>(export_index);
  link(slot, hash(slab_[slot].path));
}

std::vector<Slot> Directories::subtree(std::string_view path) {
  sort();
  std::vector<Slot> slots;
  if (const Slot itself = find(path); itself != kNoSlot && path != "/") slots.push_back(itself);
  // Each path below `path` begins with it and a slash, and '0' is the byte that follows the slash.
  const std::string begin = path == "/" ? "/" : std::string{path} + '/';
  const std::string end = begin.substr(0, begin.size() - 1) + '0';
  for (auto at = in_order_.lower_bound(begin); at != in_order_.end() && at->first < end; ++at)
    slots.push_back(at->second);
  return slots;
}

std::size_t Directories::bytes() const noexcept {
  constexpr std::size_t kNode = allocation_bytes(4 * sizeof(void*) + sizeof(decltype(in_order_)::value_type));
  return slab_.bytes() + by_path_.bytes() + in_order_.size() * kNode + unsorted_.capacity() * sizeof(Slot) +
         path_bytes_;
}

void Directories::link(Slot slot, std::uint64_t hash) {
  if (unsorted_.size() >= kUnsorted) sort();
  by_path_.insert(hash, slot);
  slab_[slot].unsorted = static_cast<Slot>(unsorted_.size());
  unsorted_.push_back(slot);
  path_bytes_ += heap_bytes(slab_[slot].path);
}

void Directories::unlink(Slot slot) {
  const Directory& directory = slab_[slot];
  by_path_.erase(hash(directory.path), slot);
  if (directory.unsorted == kNoSlot) {
    in_order_.erase(directory.path);
  } else {
    slab_[unsorted_.back()].unsorted = directory.unsorted;
    unsorted_[directory.unsorted] = unsorted_.back();
    unsorted_.pop_back();
  }
  path_bytes_ -= heap_bytes(directory.path);
}

void Directories::sort() {
  for (const Slot slot : unsorted_) {
    in_order_.emplace(slab_[slot].path, slot);
    slab_[slot].unsorted = kNoSlot;
  }
  unsorted_.clear();
}

}  // namespace qatime::backlog
