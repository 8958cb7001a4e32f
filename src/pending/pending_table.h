// SPDX-License-Identifier: MIT
// The table of what is pending, on two levels: directories, and in each of them names with their newest time.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/path.h"
#include "pending/age_histogram.h"
#include "pending/container/due_queue.h"
#include "pending/container/slab.h"
#include "pending/container/slot_set.h"
#include "pending/directories.h"
#include "pending/log_index.h"
#include "pending/name.h"
#include "pending/slice.h"
#include "pending/superseded.h"

namespace qatime::backlog {

// A place and the hash of its directory.
struct HashedPlace {
  HashedPlace() = default;
  explicit HashedPlace(const Place& where) : place{where}, hash{Directories::hash(where.directory)} {}

  Place place;
  std::uint64_t hash = 0;
};

// A backlog without lock, history or bound. One owner.
//
// The directories of an export take turns. A directory joins the end of the queue with the first item that waits in it,
// and again after each slice.
//
// Operations on an item are O(1), except for logarithms: of the directories, if one comes or goes, of the items put
// back, and of the seconds of arrival.
class PendingTable {
 public:
  // With `rows`, the table knows which of its accesses are in rows of a log, and which are not yet.
  PendingTable(const Exports& exports, Clock::Instant now, const HistoryLimits& earlier = {}, LogIndex* rows = nullptr);
  PendingTable(const PendingTable&) = delete;
  PendingTable& operator=(const PendingTable&) = delete;

  // Sets the time for the calls that follow.
  void advance(Clock::Instant now);

  enum class Added { waits, coalesced, refused };
  // Adds an access. Refuses it if it would be a new item and `may_grow` is false.
  Added add(const HashedPlace& where, Time time, bool may_grow);
  Added add(const Place& place, Time time, bool may_grow) { return add(HashedPlace{place}, time, may_grow); }

  // Brings the memory that add() will touch into the caches, for at most kAhead places. All misses then overlap, while
  // add() waits for one after the other. Place{} stands for nothing.
  void look_ahead(std::span<const HashedPlace> places) const;
  static constexpr std::size_t kAhead = 32;

  // The items put back that one take lets wait again when their moment has come: half a microsecond each, while the
  // owner has a lock. Those that wait for later takes make next_due() a moment that has come already.
  static constexpr std::size_t kMostReleased = 4 << 10;

  // As in Backlog. The owner chooses `mark` and reads it in Flight.
  [[nodiscard]] Slice take(std::size_t export_index, std::size_t limit, std::uint64_t mark);
  [[nodiscard]] Slice take_wanted(std::size_t export_index, std::size_t limit, std::uint64_t mark, const Wants& wants);
  void take_more(Slice& slice, std::size_t limit, std::uint64_t mark);
  [[nodiscard]] Slice take_newest(std::size_t export_index, const Suits& suits, std::uint64_t mark);

  struct Flight {
    std::string path;
    Time time;
    std::uint64_t mark;
  };
  // Returns the flight of a ticket; nothing if it has ended. The functions below ignore such a ticket.
  [[nodiscard]] std::optional<Flight> flight(Ticket ticket) const;

  // Ends the flight; a newer time waits from now on.
  void settle(Ticket ticket);

  // Returns whether a newer time was waiting, with which the item coalesced.
  bool put_back(Ticket ticket, Clock::Instant not_before, Retry retry);

  // A time that has left the table.
  struct Withdrawn {
    std::string path;
    Time time;
    bool superseded;  // add() returned `coalesced` for it, or for the newer time that met it
    Slot row;         // of its item; it is needed until the time is in the log again
  };
  using Take = std::function<void(Withdrawn)>;  // must not touch the table

  // Removes the times up to `until` of `path` and, with `subtree`, of all below it, and gives them to `take`. These are
  // the newest time of each item, and the times superseded lately. Times in flight stay.
  void withdraw(std::string_view path, bool subtree, Time until, const Take& take);

  // Moves the directories at and below `path` that can be moved to `target` as a whole. For these, no time is later
  // than `until`, and the new path is free. No root of an export is at the old path or below the new one. Items in
  // flight keep their old path; the times that they superseded go to `take`. Neither path lies within the other.
  void move_directories(std::string_view path, std::string_view target, Time until, const Take& take);

  // An access to be written.
  struct Written {
    const std::string& directory;
    std::string_view name;
    Time time;
    bool stays;          // false: it is on disk alone from now on
    std::uint64_t mark;  // of its flight, and it has the name that it had when it was taken; else kNoMark
  };
  static constexpr std::uint64_t kNoMark = ~std::uint64_t{0};
  using Write = std::function<bool(const Written& access)>;  // returns whether it is in the row

  // The number of items to be written. Some might be gone by now.
  [[nodiscard]] std::size_t unwritten() const noexcept { return unwritten_.size(); }

  struct Unwritten {
    Slot item;
    Slot directory;  // its directory when it was noted
  };
  // Takes the items to be written, in their order of arrival. The caller writes all of them.
  [[nodiscard]] std::deque<Unwritten> take_unwritten() { return std::exchange(unwritten_, {}); }

  // Gives `write` the newest time of each of `items` that is still there and unwritten. From then on it is in `row`.
  // While `is_full`, items leave the table if they wait and were never tried. `write` must not touch the table.
  void write(Slot row, std::span<const Slot> items, const std::function<bool()>& is_full, const Write& write);

  // The part of an item that the log has.
  struct Stored {
    Slot row = kNoSlot;       // with its newest time or an older one; kNoSlot: none
    bool is_written = false;  // the newest time is in `row`
  };

  // Brings back an access that the log has. If it is not written, it is written again, and the table holds its row
  // until then. Never refuses it.
  Added restore(const Place& place, Time time, Stored stored);

  // Returns the part of a ticket's item that the log has.
  [[nodiscard]] Stored stored(Ticket ticket) const;

  // Marks items as unwritten if their row `is_sparse`, in the slots from `begin` up to `begin + count`, exclusive.
  // Returns whether there are further slots.
  bool renew(Slot begin, std::size_t count, const std::function<bool(Slot row)>& is_sparse);

  [[nodiscard]] std::optional<Clock::Instant> next_due() const;

  // Whether, since the last call, an item came to wait in an export in which none did.
  [[nodiscard]] bool take_news() noexcept { return std::exchange(news_, false); }

  // Accesses without outcome. An item in flight with a newer time waiting counts as two.
  [[nodiscard]] std::size_t pending() const noexcept { return items_.size() + newer_; }
  [[nodiscard]] std::size_t in_flight() const noexcept { return flights_.size(); }
  [[nodiscard]] std::size_t bytes() const noexcept;
  // The part of bytes() that is free for further items.
  [[nodiscard]] std::size_t spare_bytes() const noexcept { return items_.spare_bytes(); }

  // The age of the oldest item in whole seconds. A newer time that waited for one in flight is as old as the end of
  // that flight.
  [[nodiscard]] std::chrono::seconds oldest(Clock::Instant now) const;

 private:
  enum class ItemState : std::uint8_t {
    waiting,          // in Directory::waiting; the others are in Directory::apart
    delayed,          // put back for later, in due_
    in_flight,        // `time` is that of the flight
    in_flight_newer,  // a newer `time` waits
  };

  // One cache line.
  struct alignas(64) Item {
    Time time;
    SupersededTimes::Chain earlier = SupersededTimes::Chain::none;
    Slot directory = kNoSlot;
    Slot next = kNoSlot;
    Slot previous = kNoSlot;
    Slot position = kNoSlot;   // in due_, or in flights_
    std::uint32_t second = 0;  // of arrival
    Slot row = kNoSlot;        // held: of the log, with `time` or an older one
    Slot history = kNoSlot;    // in histories_; kNoSlot: it was never tried
    ItemState state = ItemState::waiting;
    bool is_unwritten = false;  // `time` is in no row; the item is in unwritten_ or was taken from there
    Name name;
  };
  static_assert(sizeof(Item) == 64);

  struct TriedBefore {
    Slot next = kNoSlot;
    Retry retry;
  };

  // The additional data of an item in flight.
  struct InFlight {
    Slot next = kNoSlot;
    Slot item = kNoSlot;
    std::uint32_t generation = 0;
    Slot row = kNoSlot;  // held: that of the item before a newer time of it was written, maybe of another object
    Time time;
    std::uint64_t mark = 0;
  };

  static constexpr std::size_t kLookedAt = 1 << 12;  // directories from each end of the queue, by take_newest()
  static constexpr std::size_t kCompact = 1 << 12;   // elements of unwritten_ whose items might be gone

  static std::uint64_t hash(Slot directory, std::string_view name) { return hash_bytes(name, directory); }
  [[nodiscard]] std::uint64_t hash(const Item& item) const { return hash(item.directory, item.name.view()); }
  [[nodiscard]] Slot find(Slot directory, std::string_view name, std::uint64_t hash) const;
  [[nodiscard]] Slot find(const Place& place) const;
  static bool is_in_flight(const Item& item) noexcept { return item.state >= ItemState::in_flight; }
  [[nodiscard]] std::uint32_t second(Clock::Instant now) const noexcept;

  Added merge(Slot slot, Time time);
  Slot create(Slot directory, std::string_view name, std::uint64_t hash, Time time);
  void set_history(Item& item, const Retry& retry);
  void remove(Slot slot);
  void note(Slot slot);
  void write_one(Slot slot, Slot row, bool evicts, const Write& write);
  void look_ahead_to_write(std::span<const Slot> items, bool evicts) const;
  void set_row(Item& item, Slot row);
  void leave_row_to_flight(Item& item);
  void hold_also(Item& item, Slot row);
  void wait(Slot slot);
  void unlink_item(Slot slot);
  void enqueue(Slot directory);
  void dequeue(Slot directory);
  void release_due();
  [[nodiscard]] Slot find_flight(Ticket ticket) const noexcept;
  void look_ahead_to_take(Slot first, std::size_t limit) const;
  [[nodiscard]] Slot find_newest(std::size_t export_index, const Suits& suits) const;
  void fill(Slice& slice, Slot directory, std::size_t limit, std::uint64_t mark);
  Entry depart(Slot slot, std::uint64_t mark);
  void land(Slot slot);
  Time end_newer(Slot slot);
  void supersede(Item& item, Time time);
  void withdraw_earlier(Slot slot, Time until, const Take& take);
  void leave_flights(Slot moved, const std::string& old_path, std::size_t old_export, Time until, const Take& take);
  [[nodiscard]] bool moves_whole(std::string_view from, std::string_view to) const;

  void withdraw_item(Slot slot, Time until, const Take& take);
  void withdraw_list(Slot first, Time until, const Take& take);

  const Exports& exports_;
  Clock::Instant epoch_;
  Clock::Instant now_;
  Directories directories_;
  Slab<Item> items_;
  SlotSet by_name_;
  Slab<TriedBefore> histories_;
  std::vector<SlotList> queues_;  // of directories, by export
  Slab<InFlight> flights_;
  std::uint32_t generation_ = 0;  // of the last flight
  DueQueue<Item> due_{items_};
  AgeHistogram arrivals_;
  SupersededTimes earlier_;
  LogIndex* log_index_;
  std::deque<Unwritten> unwritten_;  // some of their items are gone
  std::size_t count_unwritten_ = 0;  // of items that still exist
  std::size_t name_bytes_ = 0;
  std::size_t newer_ = 0;
  bool news_ = false;
};

}  // namespace qatime::backlog
