// SPDX-License-Identifier: MIT
// What the table has to do with the rows of a log.
#include <algorithm>
#include <utility>

#include "pending/container/prefetch.h"
#include "pending/pending_table.h"

namespace qatime::backlog {

void PendingTable::write(Slot row, std::span<const Slot> items, const std::function<bool()>& is_full,
                         const Write& write) {
  while (!items.empty()) {
    const auto group = items.first(std::min(kAhead, items.size()));
    items = items.subspan(group.size());
    const bool evicts = is_full();
    look_ahead_to_write(group, evicts);
    for (const Slot slot : group) write_one(slot, row, evicts, write);
  }
}

void PendingTable::write_one(Slot slot, Slot row, bool evicts, const Write& write) {
  if (!items_.contains(slot) || !items_[slot].is_unwritten) return;
  Item& item = items_[slot];
  item.is_unwritten = false;
  --count_unwritten_;
  const bool stays = !evicts || item.state != ItemState::waiting || item.history != kNoSlot;
  write({directories_[item.directory].path, item.name.view(), item.time, stays});
  set_row(item, stays ? row : kNoSlot);
  if (!stays) remove(slot);
}

// As look_ahead(), for what write() touches.
void PendingTable::look_ahead_to_write(std::span<const Slot> items, bool evicts) const {
  const auto each = [&](const auto& visit) {
    for (const Slot slot : items) {
      if (items_.contains(slot)) visit(items_[slot]);
    }
  };
  each([](const Item& item) { prefetch(item); });
  each([&](const Item& item) {
    if (!item.is_unwritten) return;
    prefetch(directories_[item.directory]);
    prefetch(item.name.view().data(), item.name.view().size());
    if (evicts && item.next != kNoSlot) prefetch(items_[item.next]);
    if (evicts && item.previous != kNoSlot) prefetch(items_[item.previous]);
  });
  each([&](const Item& item) {
    if (!item.is_unwritten) return;
    const std::string& path = directories_[item.directory].path;
    prefetch(path.data(), path.size());
    if (evicts) by_name_.prefetch(hash(item));
  });
}

// The newest time of an item that was there is in `row` now, whatever was to be written before.
PendingTable::Added PendingTable::restore(const Place& place, Time time, Slot row) {
  const HashedPlace where{place};
  if (row == kNoSlot) return add(where, time, true);
  Slot directory = directories_.find(place.directory, where.hash);
  if (directory == kNoSlot) directory = directories_.insert(place.directory, where.hash, place.export_index);
  const std::uint64_t name_hash = hash(directory, place.name);
  Slot slot = find(directory, place.name, name_hash);
  Added added = Added::waits;
  if (slot != kNoSlot) {
    if (time <= items_[slot].time) return Added::coalesced;
    added = merge(slot, time);
  } else {
    slot = create(directory, place.name, name_hash, time);
  }
  if (std::exchange(items_[slot].is_unwritten, false)) --count_unwritten_;
  set_row(items_[slot], row);
  return added;
}

Slot PendingTable::row(Ticket ticket) const {
  const Slot slot = find_flight(ticket);
  return slot == kNoSlot ? kNoSlot : items_[slot].row;
}

bool PendingTable::renew(Slot begin, std::size_t count, const std::function<bool(Slot row)>& is_sparse) {
  const std::size_t end = begin + count;
  for (std::size_t i = begin; i < std::min(end, items_.slots()); ++i) {
    const auto slot = static_cast<Slot>(i);
    if (!items_.contains(slot)) continue;
    const Slot row = items_[slot].row;
    if (row != kNoSlot && is_sparse(row)) note(slot);
  }
  return end < items_.slots();
}

// The time of an item is in no row. Where most are gone before they are written the list is freed now and then.
void PendingTable::note(Slot slot) {
  Item& item = items_[slot];
  if (log_index_ == nullptr || item.is_unwritten) return;
  item.is_unwritten = true;
  ++count_unwritten_;
  unwritten_.push_back({slot, item.directory});
  if (unwritten_.size() < 2 * count_unwritten_ + kCompact) return;
  const auto is_new = [this](Unwritten one) {
    return items_.contains(one.item) && std::exchange(items_[one.item].is_unwritten, false);
  };
  std::erase_if(unwritten_, [&](Unwritten one) { return !is_new(one); });
  for (const Unwritten one : unwritten_) items_[one.item].is_unwritten = true;
}

void PendingTable::set_row(Item& item, Slot row) {
  if (log_index_ != nullptr && row != kNoSlot) log_index_->hold(row);
  if (log_index_ != nullptr && item.row != kNoSlot) log_index_->release(item.row);
  item.row = row;
}

}  // namespace qatime::backlog
