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
  const std::uint64_t mark = item.state == ItemState::in_flight ? flights_[item.position].mark : kNoMark;
  const bool is_in_row = write({directories_[item.directory].path, item.name.view(), item.time, stays, mark});
  if (!stays) return remove(slot);
  if (item.state == ItemState::in_flight_newer) leave_row_to_flight(item);
  set_row(item, is_in_row ? row : kNoSlot);
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

// An item has the newest of all times that meet in it. While that is in no row, those that the log has stay there.
PendingTable::Added PendingTable::restore(const Place& place, Time time, Stored stored) {
  const HashedPlace where{place};
  Slot directory = directories_.find(place.directory, where.hash);
  if (directory == kNoSlot) directory = directories_.insert(place.directory, where.hash, place.export_index);
  const std::uint64_t name_hash = hash(directory, place.name);
  Slot slot = find(directory, place.name, name_hash);
  const bool is_newest = slot == kNoSlot || time > items_[slot].time;
  Added added = slot == kNoSlot ? Added::waits : Added::coalesced;
  if (slot == kNoSlot) {
    slot = create(directory, place.name, name_hash, time);
  } else if (is_newest || !stored.is_written) {
    added = merge(slot, time);
  }
  Item& item = items_[slot];
  if (is_newest && stored.is_written) {
    if (std::exchange(item.is_unwritten, false)) --count_unwritten_;
    if (item.state == ItemState::in_flight_newer) leave_row_to_flight(item);
    set_row(item, stored.row);
  } else {
    if (is_newest) note(slot);
    if (item.is_unwritten) hold_also(item, stored.row);
  }
  return added;
}

PendingTable::Stored PendingTable::stored(Ticket ticket) const {
  const Slot slot = find_flight(ticket);
  if (slot == kNoSlot) return {};
  return {items_[slot].row, !items_[slot].is_unwritten};
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
  if (item.is_unwritten) return;
  item.is_unwritten = true;
  ++count_unwritten_;
  if (log_index_ == nullptr) return;
  unwritten_.push_back({slot, item.directory});
  if (unwritten_.size() < 2 * count_unwritten_ + kCompact) return;
  const auto is_new = [this](Unwritten one) {
    return items_.contains(one.item) && std::exchange(items_[one.item].is_unwritten, false);
  };
  std::erase_if(unwritten_, [&](Unwritten one) { return !is_new(one); });
  for (const Unwritten one : unwritten_) items_[one.item].is_unwritten = true;
}

void PendingTable::set_row(Item& item, Slot row) {
  const Slot before = std::exchange(item.row, row);
  if (log_index_ == nullptr) return;
  if (row != kNoSlot) log_index_->hold(row);
  if (before != kNoSlot) log_index_->release(before);
}

// A newer time of an item in flight is written. The one that is in flight might be of another object, and stays where
// it is.
void PendingTable::leave_row_to_flight(Item& item) {
  Slot& row = flights_[item.position].row;
  if (row == kNoSlot) row = std::exchange(item.row, kNoSlot);
}

// The item stands for an access of `row`, too, until its newest time is written.
void PendingTable::hold_also(Item& item, Slot row) {
  if (row == kNoSlot || row == item.row) return;
  if (item.row == kNoSlot) {
    set_row(item, row);
  } else if (log_index_ != nullptr) {
    set_row(item, log_index_->join(item.row, row));
  }
}

}  // namespace qatime::backlog
