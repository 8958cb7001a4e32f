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

// Backlog without lock, memory of changes or bound. One owner, who lets `exports` outlive it.
//
// The directories of an export take turns: one joins the end of the queue with the first item that waits in it, and
// again after each slice. Operations on an item are O(1), but for the logarithms of the number of directories where one
// comes or goes, of the items put back and of the seconds in which what is pending came.
class PendingTable {
 public:
  // With `rows`, which outlives it, the table knows what of it is in the rows of a log, and what is not yet.
  PendingTable(const Exports& exports, Clock::Instant now, const HistoryLimits& earlier = {}, LogIndex* rows = nullptr);
  PendingTable(const PendingTable&) = delete;
  PendingTable& operator=(const PendingTable&) = delete;

  // What happens from here on happens at `now`.
  void advance(Clock::Instant now);

  enum class Added { waits, coalesced, refused };
  // An access; refused where it would be a new item and `may_grow` is false.
  Added add(const HashedPlace& where, Time time, bool may_grow);
  Added add(const Place& place, Time time, bool may_grow) { return add(HashedPlace{place}, time, may_grow); }

  // Has what add() will touch brought into the caches, for kAhead places at most: what it waits for one after the other
  // comes at once. Place{} stands for nothing.
  void look_ahead(std::span<const HashedPlace> places) const;
  static constexpr std::size_t kAhead = 32;

  // As in Backlog. `mark` is the owner's, who reads it in Flight.
  [[nodiscard]] Slice take(std::size_t export_index, std::size_t limit, std::uint64_t mark);
  void take_more(Slice& slice, std::size_t limit, std::uint64_t mark);

  struct Flight {
    std::string path;
    Time time;
    std::uint64_t mark;
  };
  // What a ticket stands for; nothing if it has ended. The functions below do nothing with such a ticket.
  [[nodiscard]] std::optional<Flight> flight(Ticket ticket) const;

  // Ends the flight; a newer time waits from now on.
  void settle(Ticket ticket);

  // Returns whether a newer time was waiting, with which the item has coalesced.
  bool put_back(Ticket ticket, Clock::Instant not_before, Retry retry);

  // A time that has left the table.
  struct Withdrawn {
    std::string path;
    Time time;
    bool superseded;  // add() had called it, or the newer one that met it, coalesced
  };
  using Take = std::function<void(Withdrawn)>;  // which does not touch the table

  // Hands the waiting times up to `until` of `path` and, with `subtree`, of all below it to `take`: the newest of each
  // item, and those that it or a newer one has superseded lately. What is in flight stays there.
  void withdraw(std::string_view path, bool subtree, Time until, const Take& take);

  // Moves those directories from `path` and below it to `target` that can be moved as a whole: their times are not
  // later than `until`, and there is no such directory yet. What is in flight keeps its old path; what it has
  // superseded goes to `take`. Neither path lies within the other.
  void move_directories(std::string_view path, std::string_view target, Time until, const Take& take);

  // An access as it is to be written.
  struct Written {
    const std::string& directory;
    std::string_view name;
    Time time;
    bool stays;  // else it is in the log alone from now on
  };
  using Write = std::function<void(const Written& access)>;

  // How many items are to be written; some may have gone meanwhile.
  [[nodiscard]] std::size_t unwritten() const noexcept { return unwritten_.size(); }

  struct Unwritten {
    Slot item;
    Slot directory;  // in which it was when it was noted
  };
  // Hands them over in the order in which they came; whoever gets them has all of them written.
  [[nodiscard]] std::deque<Unwritten> take_unwritten() { return std::exchange(unwritten_, {}); }

  // Hands the newest times of those of `items` that are there and in no row yet to `write`, which does not touch the
  // table; from then on they are in `row`. While `is_full`, items that just wait leave the table by that.
  void write(Slot row, std::span<const Slot> items, const std::function<bool()>& is_full, const Write& write);

  // An access that is in `row` comes back.
  Added restore(const Place& place, Time time, Slot row);

  // The row of what a ticket stands for; kNoSlot if it is in none.
  [[nodiscard]] Slot row(Ticket ticket) const;

  // Has those items of slots `begin` up to before `begin + count` written again whose row `is_sparse`. Returns whether
  // there are further slots.
  bool renew(Slot begin, std::size_t count, const std::function<bool(Slot row)>& is_sparse);

  [[nodiscard]] std::optional<Clock::Instant> next_due() const;

  // Whether some export in which nothing could be taken has got something since the last call.
  [[nodiscard]] bool take_news() noexcept { return std::exchange(news_, false); }

  // Accesses without outcome: an item in flight with a newer time waiting is two.
  [[nodiscard]] std::size_t pending() const noexcept { return items_.size() + newer_; }
  [[nodiscard]] std::size_t in_flight() const noexcept { return flights_.size(); }
  [[nodiscard]] std::size_t bytes() const noexcept;
  // Of these, what is free for further items.
  [[nodiscard]] std::size_t spare_bytes() const noexcept { return items_.spare_bytes(); }

  // How long the oldest item has been here, in whole seconds. A newer time that had to wait for one in flight is as old
  // as the end of that flight.
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
    Slot row = kNoSlot;        // of the log, in which its access is, or an older one
    Slot history = kNoSlot;    // in histories_; kNoSlot: nothing was tried
    ItemState state = ItemState::waiting;
    bool is_unwritten = false;  // in unwritten_, or was, because `time` is in no row
    Name name;
  };
  static_assert(sizeof(Item) == 64);

  struct TriedBefore {
    Slot next = kNoSlot;
    Retry retry;
  };

  // What an item has in addition while it is in flight.
  struct InFlight {
    Slot next = kNoSlot;
    Slot item = kNoSlot;
    std::uint32_t generation = 0;
    Time time;
    std::uint64_t mark = 0;
  };

  static constexpr std::size_t kCompact = 1 << 12;  // of unwritten_, that may be of items that are gone

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
  void wait(Slot slot);
  void unlink_item(Slot slot);
  void enqueue(Slot directory);
  void dequeue(Slot directory);
  void release_due();
  [[nodiscard]] Slot find_flight(Ticket ticket) const noexcept;
  void look_ahead_to_take(Slot first, std::size_t limit) const;
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
  std::uint32_t generation_ = 0;  // of the flight that began last
  DueQueue<Item> due_{items_};
  AgeHistogram arrivals_;
  SupersededTimes earlier_;
  LogIndex* log_index_;
  std::deque<Unwritten> unwritten_;  // some of items that are gone
  std::size_t count_unwritten_ = 0;  // of items that are there
  std::size_t name_bytes_ = 0;
  std::size_t newer_ = 0;
  bool news_ = false;
};

}  // namespace qatime::backlog
