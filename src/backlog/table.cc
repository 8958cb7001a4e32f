// SPDX-License-Identifier: MIT
//
// An item takes 64 bytes, its name an allocation of its own (32 bytes up to 23 characters) and 6 to 10 bytes of hash
// table; 32 bytes more while it is in flight, 16 while it is put back; a directory about 250 and its path. Items are
// linked by slots, so nothing moves when there are more of them.
//
// Each item is in one list of its directory: `waiting`, or `apart` while it is in flight or put back for later. A
// directory exists while it has items, and is in the queue of its lane while something is waiting in it.
//
// An item that is in flight stays where it is, whatever is moved or removed meanwhile, until its outcome is known:
// the request that was sent cannot be recalled, and the owner follows the changes that came since then by the mark.
#include "backlog/table.h"

#include <algorithm>
#include <cassert>
#include <limits>

#include "backlog/allocation.h"
#include "backlog/hash.h"

namespace qatime::backlog {
namespace {

constexpr unsigned kMaxAttempts = std::numeric_limits<std::uint16_t>::max();

}  // namespace

Table::Table(const Lanes& lanes, Clock::Instant now, const Remembrance& earlier, Rows* rows)
    : lanes_{lanes},
      epoch_{now},
      now_{now},
      by_name_{ItemKeys{&items_}},
      queues_(lanes.size()),
      earlier_{earlier},
      rows_{rows} {}

void Table::advance(Clock::Instant now) {
  now_ = now;
  earlier_.forget(second(now));
}

Table::Added Table::add(const Place& place, Time time, bool may_grow) {
  Slot directory = directories_.find(place.directory);
  if (directory != kNoSlot) {
    const Slot slot = by_name_.find({directory, place.name});
    if (slot != kNoSlot) return merge(slot, time);
  }
  if (!may_grow) return Added::refused;
  if (directory == kNoSlot) directory = directories_.insert(place.directory, place.lane);
  note(create(directory, place.name, time));
  return Added::waits;
}

Slice Table::take(std::size_t lane, std::size_t limit, std::uint64_t mark) {
  release_due();
  const Slot slot = queues_.at(lane).first;
  if (slot == kNoSlot) return {};
  Slice slice{lane, directories_[slot].path, {}};
  fill(slice, slot, limit, mark);
  if (slice.left > 0) {
    dequeue(slot);
    enqueue(slot);
  }
  return slice;
}

void Table::take_more(Slice& slice, std::size_t limit, std::uint64_t mark) {
  const Slot slot = directories_.find(slice.directory);
  if (slot != kNoSlot) fill(slice, slot, limit, mark);
}

void Table::fill(Slice& slice, Slot slot, std::size_t limit, std::uint64_t mark) {
  const Directory& directory = directories_[slot];
  for (; limit > 0 && !directory.waiting.empty(); --limit) {
    slice.entries.push_back(depart(directory.waiting.first, mark));
  }
  slice.left = directory.count;
}

std::optional<Table::Flight> Table::flight(Ticket ticket) const {
  const Slot slot = find_flight(ticket);
  if (slot == kNoSlot) return std::nullopt;
  const Item& item = items_[slot];
  const InFlight& flight = flights_[ticket.slot];
  return Flight{join(directories_[item.directory].path, name_of(item)), flight.time, flight.mark};
}

void Table::settle(Ticket ticket) {
  const Slot slot = find_flight(ticket);
  if (slot == kNoSlot) return;
  Item& item = items_[slot];
  if (item.state == State::in_flight) return remove(slot);
  --newer_;
  land(slot);
  item.missed = false;
  item.attempts = 0;
  item.since = {};
  arrivals_.remove(item.second);
  item.second = second(now_);
  arrivals_.add(item.second);
  unlink_item(slot);
  wait(slot);
}

bool Table::put_back(Ticket ticket, Clock::Instant not_before, Retry retry) {
  const Slot slot = find_flight(ticket);
  if (slot == kNoSlot) return false;
  Item& item = items_[slot];
  const bool coalesces = item.state == State::in_flight_newer;
  if (coalesces) {
    --newer_;
    supersede(item, flights_[item.position].time);
  }
  land(slot);
  item.missed = retry.missed && !coalesces;
  item.attempts = static_cast<std::uint16_t>(std::min<unsigned>(retry.attempts, kMaxAttempts));
  item.since = retry.since;
  item.state = State::delayed;
  due_.insert(not_before, slot);
  return coalesces;
}

void Table::move_directories(std::string_view path, std::string_view target, Time until, const Take& take) {
  for (const Slot slot : directories_.subtree(path)) {
    const Directory& directory = directories_[slot];
    const std::string from = directory.path;
    const std::string to = rebase(from, path, target);
    const auto place = lanes_.place(to);
    if (!place || !moves_whole(from, to)) continue;
    if (directory.newest > until || directories_.find(to) != kNoSlot) continue;
    const std::size_t old_lane = directory.lane;
    const bool queued = !directory.waiting.empty();
    if (queued) dequeue(slot);
    directories_.rename(slot, to, place->lane);
    if (queued) enqueue(slot);
    leave_flights(slot, from, old_lane, until, take);
    if (directory.waiting.empty() && directory.apart.empty()) directories_.erase(slot);
  }
}

void Table::write(Slot row, std::size_t count, const Write& write) {
  for (; count > 0 && !unwritten_.empty(); --count, unwritten_.pop_front()) {
    const Slot slot = unwritten_.front();
    if (!items_.contains(slot) || !items_[slot].is_unwritten) continue;
    Item& item = items_[slot];
    item.is_unwritten = false;
    set_row(item, row);
    write(slot, directories_[item.directory].path, name_of(item), item.time);
  }
}

// The newest time of an item that was there is in `row` now, whatever was to be written before.
Table::Added Table::restore(const Place& place, Time time, Slot row) {
  if (row == kNoSlot) return add(place, time, true);
  Slot directory = directories_.find(place.directory);
  Slot slot = directory == kNoSlot ? kNoSlot : by_name_.find({directory, place.name});
  Added added = Added::waits;
  if (slot != kNoSlot) {
    if (time <= items_[slot].time) return Added::coalesced;
    added = merge(slot, time);
  } else {
    if (directory == kNoSlot) directory = directories_.insert(place.directory, place.lane);
    slot = create(directory, place.name, time);
  }
  items_[slot].is_unwritten = false;
  set_row(items_[slot], row);
  return added;
}

Slot Table::row(Ticket ticket) const {
  const Slot slot = find_flight(ticket);
  return slot == kNoSlot ? kNoSlot : items_[slot].row;
}

bool Table::evict(Slot slot, Slot row) {
  if (!items_.contains(slot) || items_[slot].row != row) return false;
  Item& item = items_[slot];
  if (item.is_unwritten || item.state != State::waiting || item.attempts > 0 || item.missed) return false;
  item.row = kNoSlot;
  remove(slot);
  return true;
}

bool Table::renew(Slot begin, std::size_t count, const std::function<bool(Slot row)>& is_sparse) {
  const std::size_t end = begin + count;
  for (std::size_t i = begin; i < std::min(end, items_.slots()); ++i) {
    const auto slot = static_cast<Slot>(i);
    if (!items_.contains(slot)) continue;
    const Slot row = items_[slot].row;
    if (row != kNoSlot && is_sparse(row)) note(slot);
  }
  return end < items_.slots();
}

std::optional<Clock::Instant> Table::next_due() const {
  if (due_.empty()) return std::nullopt;
  return due_.first().moment;
}

std::size_t Table::bytes() const noexcept {
  return items_.bytes() + by_name_.bytes() + name_bytes_ + directories_.bytes() + flights_.bytes() + due_.bytes() +
         arrivals_.bytes() + earlier_.bytes() + unwritten_.size() * sizeof(Slot);
}

std::chrono::seconds Table::oldest(Clock::Instant now) const {
  const auto oldest = arrivals_.oldest();
  return std::chrono::seconds{oldest ? second(now) - *oldest : 0};
}

std::size_t Table::ItemKeys::hash(const Key& key) { return hash_bytes(key.name, key.directory); }

std::string_view Table::name_of(const Item& item) noexcept {
  return {item.name.get() + 1, static_cast<unsigned char>(item.name[0])};
}

std::uint32_t Table::second(Clock::Instant now) const noexcept {
  return static_cast<std::uint32_t>(std::chrono::duration_cast<std::chrono::seconds>(now - epoch_).count());
}

// An access to an item that is there.
Table::Added Table::merge(Slot slot, Time time) {
  Item& item = items_[slot];
  if (time <= item.time) {
    supersede(item, time);
    return Added::coalesced;
  }
  const Time older = std::exchange(item.time, time);
  if (item.state != State::in_flight) supersede(item, older);
  item.missed = false;  // that was said of an earlier access
  note(slot);
  Directory& directory = directories_[item.directory];
  directory.newest = std::max(directory.newest, time);
  if (item.state != State::in_flight) return Added::coalesced;
  item.state = State::in_flight_newer;
  ++newer_;
  return Added::waits;
}

Slot Table::create(Slot directory, std::string_view name, Time time) {
  const Slot slot = items_.allocate();
  Item& item = items_[slot];
  item = Item{};
  item.time = time;
  item.name = std::make_unique<char[]>(1 + name.size());
  item.name[0] = static_cast<char>(name.size());
  std::copy(name.begin(), name.end(), item.name.get() + 1);
  name_bytes_ += allocation_bytes(1 + name.size());
  item.directory = directory;
  item.second = second(now_);
  arrivals_.add(item.second);
  by_name_.insert(slot);
  directories_[directory].newest = std::max(directories_[directory].newest, time);
  wait(slot);
  return slot;
}

void Table::remove(Slot slot) {
  Item& item = items_[slot];
  assert(item.state != State::in_flight_newer);
  unlink_item(slot);
  if (item.state == State::in_flight) land(slot);
  if (item.state == State::delayed) due_.erase(slot);
  by_name_.erase(slot);
  arrivals_.remove(item.second);
  name_bytes_ -= allocation_bytes(1 + name_of(item).size());
  item.name.reset();
  item.is_unwritten = false;
  set_row(item, kNoSlot);
  const Directory& directory = directories_[item.directory];
  if (directory.waiting.empty() && directory.apart.empty()) directories_.erase(item.directory);
  items_.release(slot);
}

// The time of an item is in no row. Of items that are gone before they are written the list is freed now and then.
void Table::note(Slot slot) {
  Item& item = items_[slot];
  if (rows_ == nullptr || item.is_unwritten) return;
  item.is_unwritten = true;
  unwritten_.push_back(slot);
  if (unwritten_.size() < compact_at_) return;
  const auto is_new = [this](Slot one) {
    return items_.contains(one) && std::exchange(items_[one].is_unwritten, false);
  };
  std::erase_if(unwritten_, [&](Slot one) { return !is_new(one); });
  for (const Slot one : unwritten_) items_[one].is_unwritten = true;
  compact_at_ = 2 * unwritten_.size() + kCompact;
}

void Table::set_row(Item& item, Slot row) {
  if (rows_ != nullptr && row != kNoSlot) rows_->hold(row);
  if (rows_ != nullptr && item.row != kNoSlot) rows_->release(item.row);
  item.row = row;
}

// An item that is in no list waits, as the last of its directory.
void Table::wait(Slot slot) {
  Item& item = items_[slot];
  item.state = State::waiting;
  Directory& directory = directories_[item.directory];
  const bool is_first = directory.waiting.empty();
  append(items_, directory.waiting, slot);
  ++directory.count;
  if (is_first) enqueue(item.directory);
}

void Table::unlink_item(Slot slot) {
  const Item& item = items_[slot];
  Directory& directory = directories_[item.directory];
  if (item.state != State::waiting) return unlink(items_, directory.apart, slot);
  unlink(items_, directory.waiting, slot);
  --directory.count;
  if (directory.waiting.empty()) dequeue(item.directory);
}

void Table::enqueue(Slot directory) {
  SlotList& queue = queues_[directories_[directory].lane];
  if (queue.empty()) news_ = true;
  append(directories_.slab(), queue, directory);
}

void Table::dequeue(Slot directory) { unlink(directories_.slab(), queues_[directories_[directory].lane], directory); }

void Table::release_due() {
  while (!due_.empty() && due_.first().moment <= now_) {
    const Slot slot = due_.first().slot;
    due_.erase(slot);
    unlink_item(slot);
    wait(slot);
  }
}

Slot Table::find_flight(Ticket ticket) const noexcept {
  if (!flights_.contains(ticket.slot)) return kNoSlot;
  const InFlight& flight = flights_[ticket.slot];
  return flight.generation == ticket.generation ? flight.item : kNoSlot;
}

// A waiting item takes off.
Entry Table::depart(Slot slot, std::uint64_t mark) {
  unlink_item(slot);
  Item& item = items_[slot];
  item.state = State::in_flight;
  append(items_, directories_[item.directory].apart, slot);
  item.position = flights_.allocate();
  flights_[item.position] = {kNoSlot, slot, ++generation_, item.time, mark};
  const Ticket ticket{item.position, generation_};
  return {ticket, std::string{name_of(item)}, item.time, {item.attempts, item.since, item.missed}};
}

// Ends the ticket of an item in flight, whose state is up to the caller.
void Table::land(Slot slot) {
  const Slot flight = items_[slot].position;
  flights_[flight].item = kNoSlot;
  flights_.release(flight);
}

// Takes the newer time from an item in flight.
Time Table::end_newer(Slot slot) {
  Item& item = items_[slot];
  item.state = State::in_flight;
  --newer_;
  return std::exchange(item.time, flights_[item.position].time);
}

// A newer time of the item has won against `time`.
void Table::supersede(Item& item, Time time) {
  if (time < item.time) earlier_.add(item.earlier, time, second(now_));
}

// The superseded times of an item.
void Table::withdraw_earlier(Slot slot, Time until, const Take& take) {
  Item& item = items_[slot];
  earlier_.extract(item.earlier, until,
                   [&](Time time) { take({join(directories_[item.directory].path, name_of(item)), time, true}); });
}

// Leaves what is in flight in a directory that has moved at the path where it was, but not what waits behind it.
void Table::leave_flights(Slot moved, const std::string& old_path, std::size_t old_lane, Time until, const Take& take) {
  Slot old = kNoSlot;
  for (Slot slot = directories_[moved].apart.first, next = kNoSlot; slot != kNoSlot; slot = next) {
    Item& item = items_[slot];
    next = item.next;
    if (!is_in_flight(item)) continue;
    std::optional<Time> newer;
    if (item.state == State::in_flight_newer) newer = end_newer(slot);
    if (old == kNoSlot) old = directories_.insert(old_path, old_lane);
    by_name_.erase(slot);
    unlink_item(slot);
    item.directory = old;
    by_name_.insert(slot);
    append(items_, directories_[old].apart, slot);
    directories_[old].newest = std::max(directories_[old].newest, item.time);
    withdraw_earlier(slot, until, take);
    if (newer) note(create(moved, name_of(item), *newer));
  }
}

// Whether all that is in the directory `from` belongs into the directory `to` once it has moved there: no root of an
// export is involved.
bool Table::moves_whole(std::string_view from, std::string_view to) const {
  for (std::size_t lane = 0; lane < lanes_.size(); ++lane) {
    const std::string& root = lanes_.path(lane);
    if (root == from || (root != to && is_within(root, to))) return false;
  }
  return true;
}

void Table::withdraw(std::string_view path, bool subtree, Time until, const Take& take) {
  if (const auto place = lanes_.place(path)) {
    const Slot directory = directories_.find(place->directory);
    const Slot slot = directory == kNoSlot ? kNoSlot : by_name_.find({directory, place->name});
    if (slot != kNoSlot) withdraw_item(slot, until, take);
  }
  if (!subtree) return;
  for (const Slot slot : directories_.subtree(path)) {
    const Slot first_waiting = directories_[slot].waiting.first;  // the last item takes the directory with it
    withdraw_list(directories_[slot].apart.first, until, take);
    withdraw_list(first_waiting, until, take);
  }
}

void Table::withdraw_list(Slot first, Time until, const Take& take) {
  for (Slot slot = first, next = kNoSlot; slot != kNoSlot; slot = next) {
    next = items_[slot].next;
    withdraw_item(slot, until, take);
  }
}

void Table::withdraw_item(Slot slot, Time until, const Take& take) {
  const Item& item = items_[slot];
  const bool goes = item.time <= until && item.state != State::in_flight;
  if (goes) take({join(directories_[item.directory].path, name_of(item)), item.time, false});
  withdraw_earlier(slot, until, take);
  if (!goes) return;
  if (item.state == State::in_flight_newer) {
    end_newer(slot);
  } else {
    remove(slot);
  }
}

}  // namespace qatime::backlog
