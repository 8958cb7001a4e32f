// SPDX-License-Identifier: MIT
//
// An item takes 64 bytes, a name of more than 17 characters an allocation of its own, and 11 to 16 bytes of hash table;
// 32 bytes more while it is in flight, 12 while it is put back and 32 once it was tried in vain; a directory about 250
// and its path. Items are linked by slots, so nothing moves when there are more of them.
//
// Hardly anything of a large table is in the caches, and add() needs several lines of memory, each of which tells where
// the next one is: look_ahead() goes that way for many accesses at a time.
//
// Each item is in one list of its directory: `waiting`, or `apart` while it is in flight or put back for later. A
// directory exists while it has items, and is in the queue of its export while something is waiting in it.
//
// An item that is in flight stays where it is, whatever is moved or removed meanwhile, until its outcome is known:
// the request that was sent cannot be recalled, and the owner follows the changes that came since then by the mark.
#include "pending/pending_table.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <limits>

#include "pending/container/hash.h"
#include "pending/container/prefetch.h"

namespace qatime::backlog {
namespace {

constexpr unsigned kMaxAttempts = std::numeric_limits<std::uint16_t>::max();

}  // namespace

PendingTable::PendingTable(const Exports& exports, Clock::Instant now, const HistoryLimits& earlier, LogIndex* rows)
    : exports_{exports}, epoch_{now}, now_{now}, queues_(exports.size()), earlier_{earlier}, log_index_{rows} {}

void PendingTable::advance(Clock::Instant now) {
  now_ = now;
  earlier_.forget(second(now));
}

PendingTable::Added PendingTable::add(const HashedPlace& where, Time time, bool may_grow) {
  const auto& [export_index, path, name] = where.place;
  Slot directory = directories_.find(path, where.hash);
  if (directory == kNoSlot && !may_grow) return Added::refused;
  if (directory == kNoSlot) directory = directories_.insert(path, where.hash, export_index);
  const std::uint64_t name_hash = hash(directory, name);
  const Slot slot = find(directory, name, name_hash);
  if (slot != kNoSlot) return merge(slot, time);
  if (!may_grow) return Added::refused;
  note(create(directory, name, name_hash, time));
  return Added::waits;
}

// Of each place: the directory, whose path is compared; the item, whose name is, or the last one of the directory,
// which a new one is linked to.
void PendingTable::look_ahead(std::span<const HashedPlace> places) const {
  assert(places.size() <= kAhead);
  std::array<Slot, kAhead> directories;
  std::array<std::uint64_t, kAhead> hashes;
  std::array<Slot, kAhead> items;
  for (const HashedPlace& where : places) directories_.by_path().prefetch(where.hash);
  for (std::size_t i = 0; i < places.size(); ++i) {
    directories[i] = directories_.by_path().guess(places[i].hash);
    if (directories[i] != kNoSlot) prefetch(directories_[directories[i]]);
  }
  for (std::size_t i = 0; i < places.size(); ++i) {
    if (directories[i] == kNoSlot) continue;
    hashes[i] = hash(directories[i], places[i].place.name);
    by_name_.prefetch(hashes[i]);
    const std::string& path = directories_[directories[i]].path;
    prefetch(path.data(), path.size());
  }
  for (std::size_t i = 0; i < places.size(); ++i) {
    items[i] = kNoSlot;
    if (directories[i] == kNoSlot) continue;
    items[i] = by_name_.guess(hashes[i]);
    const Slot slot = items[i] == kNoSlot ? directories_[directories[i]].waiting.last : items[i];
    if (slot != kNoSlot) prefetch(items_[slot]);
  }
  for (std::size_t i = 0; i < places.size(); ++i) {
    if (items[i] == kNoSlot) continue;
    const std::string_view name = items_[items[i]].name.view();
    prefetch(name.data(), name.size());
  }
}

Slice PendingTable::take(std::size_t export_index, std::size_t limit, std::uint64_t mark) {
  release_due();
  const Slot slot = queues_.at(export_index).first;
  if (slot == kNoSlot) return {};
  Slice slice{export_index, directories_[slot].path, {}};
  fill(slice, slot, limit, mark);
  if (slice.left > 0) {
    dequeue(slot);
    enqueue(slot);
  }
  return slice;
}

Slice PendingTable::take_wanted(std::size_t export_index, std::size_t limit, std::uint64_t mark, const Wants& wants) {
  const SlotList& queue = queues_.at(export_index);
  const Slot last = queue.last;
  while (queue.first != kNoSlot && !wants(directories_[queue.first].path)) {
    const Slot slot = queue.first;
    if (slot == last) return {};
    dequeue(slot);
    enqueue(slot);
  }
  return take(export_index, limit, mark);
}

void PendingTable::take_more(Slice& slice, std::size_t limit, std::uint64_t mark) {
  const Slot slot = directories_.find(slice.directory);
  if (slot != kNoSlot) fill(slice, slot, limit, mark);
}

Slice PendingTable::take_newest(std::size_t export_index, const Suits& suits, std::uint64_t mark) {
  release_due();
  Slot slot = find_newest(export_index, suits);
  const bool suits_one = slot != kNoSlot;
  if (!suits_one) slot = queues_.at(export_index).first;
  if (slot == kNoSlot) return {};
  const SlotList& waiting = directories_[slot].waiting;
  Slice slice{export_index, directories_[slot].path, {}};
  slice.entries.push_back(depart(suits_one ? waiting.last : waiting.first, mark));
  slice.left = directories_[slot].count;
  if (slice.left > 0 && !suits_one) {
    dequeue(slot);
    enqueue(slot);
  }
  return slice;
}

// Returns the directory whose newest waiting entry suits: of the latest in the queue, or else of the earliest.
Slot PendingTable::find_newest(std::size_t export_index, const Suits& suits) const {
  const auto has_one = [&](Slot slot) {
    const Directory& directory = directories_[slot];
    const Item& item = items_[directory.waiting.last];
    return suits(directory.path, item.name.view(), item.history == kNoSlot ? Retry{} : histories_[item.history].retry);
  };
  const SlotList& queue = queues_.at(export_index);
  std::size_t left = kLookedAt;
  for (Slot slot = queue.last; slot != kNoSlot && left > 0; slot = directories_[slot].previous, --left) {
    if (has_one(slot)) return slot;
  }
  if (left > 0) return kNoSlot;
  left = kLookedAt;
  for (Slot slot = queue.first; slot != kNoSlot && left > 0; slot = directories_[slot].next, --left) {
    if (has_one(slot)) return slot;
  }
  return kNoSlot;
}

void PendingTable::fill(Slice& slice, Slot slot, std::size_t limit, std::uint64_t mark) {
  const Directory& directory = directories_[slot];
  look_ahead_to_take(directory.waiting.first, limit);
  for (; limit > 0 && !directory.waiting.empty(); --limit) {
    slice.entries.push_back(depart(directory.waiting.first, mark));
  }
  slice.left = directory.count;
}

// As look_ahead(), for what take() touches.
void PendingTable::look_ahead_to_take(Slot first, std::size_t limit) const {
  for (Slot slot = first; slot != kNoSlot && limit > 0; slot = items_[slot].next, --limit) {
    const std::string_view name = items_[slot].name.view();
    prefetch(name.data(), name.size());
  }
}

std::optional<PendingTable::Flight> PendingTable::flight(Ticket ticket) const {
  const Slot slot = find_flight(ticket);
  if (slot == kNoSlot) return std::nullopt;
  const Item& item = items_[slot];
  const InFlight& flight = flights_[ticket.slot];
  return Flight{join(directories_[item.directory].path, item.name.view()), flight.time, flight.mark};
}

void PendingTable::settle(Ticket ticket) {
  const Slot slot = find_flight(ticket);
  if (slot == kNoSlot) return;
  Item& item = items_[slot];
  if (item.state == ItemState::in_flight) return remove(slot);
  --newer_;
  land(slot);
  set_history(item, {});
  arrivals_.remove(item.second);
  item.second = second(now_);
  arrivals_.add(item.second);
  unlink_item(slot);
  wait(slot);
}

bool PendingTable::put_back(Ticket ticket, Clock::Instant not_before, Retry retry) {
  const Slot slot = find_flight(ticket);
  if (slot == kNoSlot) return false;
  Item& item = items_[slot];
  const bool coalesces = item.state == ItemState::in_flight_newer;
  if (coalesces) {
    --newer_;
    supersede(item, flights_[item.position].time);
  }
  land(slot);
  set_history(item, {std::min(retry.attempts, kMaxAttempts), retry.since, retry.missed && !coalesces, retry.denied});
  item.state = ItemState::delayed;
  due_.insert(not_before, slot);
  return coalesces;
}

void PendingTable::move_directories(std::string_view path, std::string_view target, Time until, const Take& take) {
  for (const Slot slot : directories_.subtree(path)) {
    const Directory& directory = directories_[slot];
    const std::string from = directory.path;
    const std::string to = rebase(from, path, target);
    const auto place = exports_.place(to);
    if (!place || !moves_whole(from, to)) continue;
    if (directory.newest > until || directories_.find(to) != kNoSlot) continue;
    const std::size_t old_export = directory.export_index;
    const bool queued = !directory.waiting.empty();
    if (queued) dequeue(slot);
    directories_.rename(slot, to, place->export_index);
    if (queued) enqueue(slot);
    leave_flights(slot, from, old_export, until, take);
    if (directory.waiting.empty() && directory.apart.empty()) directories_.erase(slot);
  }
}

std::optional<Clock::Instant> PendingTable::next_due() const {
  if (due_.empty()) return std::nullopt;
  return due_.first().moment();
}

std::size_t PendingTable::bytes() const noexcept {
  return items_.bytes() + histories_.bytes() + by_name_.bytes() + name_bytes_ + directories_.bytes() +
         flights_.bytes() + due_.bytes() + arrivals_.bytes() + earlier_.bytes() + unwritten_.size() * sizeof(Unwritten);
}

std::chrono::seconds PendingTable::oldest(Clock::Instant now) const {
  const auto oldest = arrivals_.oldest();
  return std::chrono::seconds{oldest ? second(now) - *oldest : 0};
}

Slot PendingTable::find(Slot directory, std::string_view name, std::uint64_t hash) const {
  return by_name_.find(
      hash, [&](Slot slot) { return items_[slot].directory == directory && items_[slot].name.view() == name; });
}

Slot PendingTable::find(const Place& place) const {
  const Slot directory = directories_.find(place.directory);
  return directory == kNoSlot ? kNoSlot : find(directory, place.name, hash(directory, place.name));
}

std::uint32_t PendingTable::second(Clock::Instant now) const noexcept {
  return static_cast<std::uint32_t>(std::chrono::duration_cast<std::chrono::seconds>(now - epoch_).count());
}

// An access to an item that is there.
PendingTable::Added PendingTable::merge(Slot slot, Time time) {
  Item& item = items_[slot];
  if (time <= item.time) {
    supersede(item, time);
    return Added::coalesced;
  }
  const Time older = std::exchange(item.time, time);
  if (item.state != ItemState::in_flight) supersede(item, older);
  if (item.history != kNoSlot) histories_[item.history].retry.missed = false;  // that was said of an earlier access
  note(slot);
  Directory& directory = directories_[item.directory];
  directory.newest = std::max(directory.newest, time);
  if (item.state != ItemState::in_flight) return Added::coalesced;
  item.state = ItemState::in_flight_newer;
  ++newer_;
  return Added::waits;
}

Slot PendingTable::create(Slot directory, std::string_view name, std::uint64_t hash, Time time) {
  const Slot slot = items_.allocate();
  Item& item = items_[slot];
  item.time = time;
  item.earlier = SupersededTimes::Chain::none;
  item.directory = directory;
  item.second = second(now_);
  item.row = item.history = kNoSlot;
  item.is_unwritten = false;
  item.name.assign(name);
  name_bytes_ += item.name.heap_bytes();
  arrivals_.add(item.second);
  by_name_.insert(hash, slot);
  directories_[directory].newest = std::max(directories_[directory].newest, time);
  wait(slot);
  return slot;
}

void PendingTable::remove(Slot slot) {
  Item& item = items_[slot];
  assert(item.state != ItemState::in_flight_newer);
  unlink_item(slot);
  if (item.state == ItemState::in_flight) land(slot);
  if (item.state == ItemState::delayed) due_.erase(slot);
  by_name_.erase(hash(item), slot);
  arrivals_.remove(item.second);
  name_bytes_ -= item.name.heap_bytes();
  item.name.assign({});
  if (std::exchange(item.is_unwritten, false)) --count_unwritten_;
  set_history(item, {});
  set_row(item, kNoSlot);
  const Directory& directory = directories_[item.directory];
  if (directory.waiting.empty() && directory.apart.empty()) directories_.erase(item.directory);
  items_.release(slot);
}

// The attempts for an item; none by default.
void PendingTable::set_history(Item& item, const Retry& retry) {
  const bool is_needed = retry.attempts > 0 || retry.missed || retry.denied || retry.since != Clock::Instant{};
  if (!is_needed) {
    if (item.history != kNoSlot) histories_.release(std::exchange(item.history, kNoSlot));
    return;
  }
  if (item.history == kNoSlot) item.history = histories_.allocate();
  histories_[item.history].retry = retry;
}

// An item that is in no list waits, as the last of its directory.
void PendingTable::wait(Slot slot) {
  Item& item = items_[slot];
  item.state = ItemState::waiting;
  Directory& directory = directories_[item.directory];
  const bool is_first = directory.waiting.empty();
  append(items_, directory.waiting, slot);
  ++directory.count;
  if (is_first) enqueue(item.directory);
}

void PendingTable::unlink_item(Slot slot) {
  const Item& item = items_[slot];
  Directory& directory = directories_[item.directory];
  if (item.state != ItemState::waiting) return unlink(items_, directory.apart, slot);
  unlink(items_, directory.waiting, slot);
  --directory.count;
  if (directory.waiting.empty()) dequeue(item.directory);
}

void PendingTable::enqueue(Slot directory) {
  SlotList& queue = queues_[directories_[directory].export_index];
  if (queue.empty()) news_ = true;
  append(directories_.slab(), queue, directory);
}

void PendingTable::dequeue(Slot directory) {
  unlink(directories_.slab(), queues_[directories_[directory].export_index], directory);
}

void PendingTable::release_due() {
  for (std::size_t left = kMostReleased; left > 0 && !due_.empty() && due_.first().moment() <= now_; --left) {
    const Slot slot = due_.first().slot();
    due_.erase(slot);
    unlink_item(slot);
    wait(slot);
  }
}

Slot PendingTable::find_flight(Ticket ticket) const noexcept {
  if (!flights_.contains(ticket.slot)) return kNoSlot;
  const InFlight& flight = flights_[ticket.slot];
  return flight.generation == ticket.generation ? flight.item : kNoSlot;
}

// A waiting item takes off.
Entry PendingTable::depart(Slot slot, std::uint64_t mark) {
  unlink_item(slot);
  Item& item = items_[slot];
  item.state = ItemState::in_flight;
  by_name_.prefetch(hash(item));  // for settle()
  append(items_, directories_[item.directory].apart, slot);
  item.position = flights_.allocate();
  flights_[item.position] = {kNoSlot, slot, ++generation_, kNoSlot, item.time, mark};
  const Ticket ticket{item.position, generation_};
  const Retry retry = item.history == kNoSlot ? Retry{} : histories_[item.history].retry;
  return {ticket, std::string{item.name.view()}, item.time, retry};
}

// Ends the ticket of an item in flight, whose state is up to the caller.
void PendingTable::land(Slot slot) {
  const Slot flight = items_[slot].position;
  flights_[flight].item = kNoSlot;
  if (log_index_ != nullptr && flights_[flight].row != kNoSlot) log_index_->release(flights_[flight].row);
  flights_.release(flight);
}

// Takes the newer time from an item in flight.
Time PendingTable::end_newer(Slot slot) {
  Item& item = items_[slot];
  item.state = ItemState::in_flight;
  --newer_;
  InFlight& flight = flights_[item.position];
  if (flight.row != kNoSlot) {
    set_row(item, kNoSlot);
    item.row = std::exchange(flight.row, kNoSlot);
  }
  return std::exchange(item.time, flight.time);
}

// A newer time of the item has won against `time`.
void PendingTable::supersede(Item& item, Time time) {
  if (time < item.time) earlier_.add(item.earlier, time, second(now_));
}

// The superseded times of an item.
void PendingTable::withdraw_earlier(Slot slot, Time until, const Take& take) {
  Item& item = items_[slot];
  earlier_.extract(item.earlier, until, [&](Time time) {
    take({join(directories_[item.directory].path, item.name.view()), time, true, item.row});
  });
}

// Leaves what is in flight in a directory that has moved at the path where it was, but not what waits behind it.
void PendingTable::leave_flights(Slot moved, const std::string& old_path, std::size_t old_export, Time until,
                                 const Take& take) {
  Slot old = kNoSlot;
  for (Slot slot = directories_[moved].apart.first, next = kNoSlot; slot != kNoSlot; slot = next) {
    Item& item = items_[slot];
    next = item.next;
    if (!is_in_flight(item)) continue;
    std::optional<Time> newer;
    const Slot row = item.row;
    if (item.state == ItemState::in_flight_newer) newer = end_newer(slot);
    if (old == kNoSlot) old = directories_.insert(old_path, Directories::hash(old_path), old_export);
    by_name_.erase(hash(item), slot);
    unlink_item(slot);
    item.directory = old;
    by_name_.insert(hash(item), slot);
    append(items_, directories_[old].apart, slot);
    directories_[old].newest = std::max(directories_[old].newest, item.time);
    withdraw_earlier(slot, until, take);
    if (!newer) continue;
    const Slot left = create(moved, item.name.view(), hash(moved, item.name.view()), *newer);
    note(left);
    hold_also(items_[left], row);
  }
}

// Whether all that is in the directory `from` belongs into the directory `to` once it has moved there: no root of an
// export is involved.
bool PendingTable::moves_whole(std::string_view from, std::string_view to) const {
  for (std::size_t export_index = 0; export_index < exports_.size(); ++export_index) {
    const std::string& root = exports_.path(export_index);
    if (root == from || (root != to && is_within(root, to))) return false;
  }
  return true;
}

void PendingTable::withdraw(std::string_view path, bool subtree, Time until, const Take& take) {
  if (const auto place = exports_.place(path)) {
    const Slot slot = find(*place);
    if (slot != kNoSlot) withdraw_item(slot, until, take);
  }
  if (!subtree) return;
  for (const Slot slot : directories_.subtree(path)) {
    const Slot first_waiting = directories_[slot].waiting.first;  // the last item takes the directory with it
    withdraw_list(directories_[slot].apart.first, until, take);
    withdraw_list(first_waiting, until, take);
  }
}

void PendingTable::withdraw_list(Slot first, Time until, const Take& take) {
  for (Slot slot = first, next = kNoSlot; slot != kNoSlot; slot = next) {
    next = items_[slot].next;
    withdraw_item(slot, until, take);
  }
}

void PendingTable::withdraw_item(Slot slot, Time until, const Take& take) {
  const Item& item = items_[slot];
  const bool goes = item.time <= until && item.state != ItemState::in_flight;
  if (goes) take({join(directories_[item.directory].path, item.name.view()), item.time, false, item.row});
  withdraw_earlier(slot, until, take);
  if (!goes) return;
  if (item.state == ItemState::in_flight_newer) {
    end_newer(slot);
  } else {
    remove(slot);
  }
}

}  // namespace qatime::backlog
