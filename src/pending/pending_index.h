// SPDX-License-Identifier: MIT
// The index of what is pending: each access at its object's current path, whatever the order of arrival.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/event.h"
#include "base/path.h"
#include "pending/cancelled.h"
#include "pending/history_limits.h"
#include "pending/pending_table.h"
#include "pending/renames.h"

namespace qatime::backlog {

// Converts the time of a row of the log for an index that repeats the log.
[[nodiscard]] inline Clock::Instant moment(Time written) {
  return Clock::Instant{std::chrono::duration_cast<Clock::Duration>(written.time_since_epoch())};
}

// The table, and the moves and removals that its entries follow. One owner.
//
// Guarantee: in any order of arrival, the newest access of an object waits at the object's current path, and nowhere
// else. It need not wait if it was taken. The current path is the one by all changes so far. A late change brings back
// accesses that were counted as coalesced or cancelled; they count as recovered. At every moment, accesses taken in +
// recovered = coalesced + cancelled + refused + settled + pending.
//
// Not covered:
// - an event that comes later than another of the same names by more than the retention;
// - an entry in flight for longer than the retention;
// - a time that was taken: it is not undone. follow_flight() applies later changes when the entry is put back or
//   reconsidered. The older accesses that it superseded are forgotten when it is settled.
//
// Bounds: each kind of history has its bytes, beyond which the earliest is forgotten. One change remembers
// HistoryLimits::cancelled of the accesses that it ended. It remembers none while the last eighth of the memory is in
// use.
class PendingIndex {
 public:
  // Beyond `memory` bytes accesses to new paths are refused. `limits` bounds how late an event may come. Each kind of
  // history takes an eighth of `memory` at most. `rows` are those of PendingTable.
  PendingIndex(const Exports& exports, std::size_t memory, Clock::Instant now, const HistoryLimits& limits,
               LogIndex* rows = nullptr);

  // Refuses accesses to new paths beyond `bytes`, instead of beyond the memory.
  void set_limit(std::size_t bytes) noexcept { limit_ = bytes; }

  // Beyond `bytes`, offers to `take` the accesses to new paths that no change concerns. It returns whether it took one.
  using Take = std::function<bool(const Place& place, Time time)>;
  void set_overflow(std::size_t bytes, Take take) {
    overflow_from_ = bytes;
    overflow_ = std::move(take);
  }

  // Calls `tell` with each move or removal that is new and changes something, before it is carried out.
  using Tell = std::function<void(const Event& change)>;
  void on_change(Tell tell) { tell_ = std::move(tell); }

  // Sets the time for the calls that follow. `now` never decreases.
  void advance(Clock::Instant now);

  void take_in(const Access& access);
  void take_in(const Move& move);
  void take_in(const Removal& removal);
  void take_in(const Event& event);

  // Fills `places` with the places of accesses, by their paths alone. Other events, and paths below no export, get
  // HashedPlace{}. Any thread.
  static void locate(const Exports& exports, Events events, std::vector<HashedPlace>& places);

  // Takes in events in their order of arrival, with the places from locate(). Much faster than one by one.
  void take_in(Events events, std::span<const HashedPlace> places);

  // Brings back an access of the log. `place` is where all changes so far have moved it.
  void restore(const Place& place, Time time, PendingTable::Stored stored) {
    if (table_.restore(place, time, stored) == PendingTable::Added::coalesced) ++counts_.coalesced;
  }

  // Remembers a change of an earlier process. All pending accesses have followed it already.
  template <class Change>
  void remember(const Change& change) {
    if (!history_.knows(change)) history_.remember(change, now_);
  }

  // Returns where the object is now that was at `path` when an access to it was taken with `mark`; nothing if nowhere.
  [[nodiscard]] std::optional<std::string> current_path(const std::string& path, Time time, std::uint64_t mark) const;

  // Ends the flight if a change since the take explains why its object is not there. Returns whether it did.
  bool follow_flight(Ticket ticket);

  struct Counts {
    std::uint64_t recovered = 0;
    std::uint64_t coalesced = 0;
    std::uint64_t cancelled = 0;
    std::uint64_t refused = 0;   // no room
    std::uint64_t repeated = 0;  // moves and removals that had come before
  };
  // Returns the outcomes of accesses and changes since the last call.
  [[nodiscard]] Counts take_counts() noexcept { return std::exchange(counts_, {}); }

  // The mark for the entries that are taken now (PendingTable::take).
  [[nodiscard]] std::uint64_t mark() const noexcept { return history_.last_sequence(); }

  [[nodiscard]] PendingTable& table() noexcept { return table_; }
  [[nodiscard]] const PendingTable& table() const noexcept { return table_; }
  [[nodiscard]] std::size_t bytes() const noexcept;
  // bytes() without the room for further items, of which it subtracts an eighth of the memory at most.
  [[nodiscard]] std::size_t used_bytes() const noexcept;

 private:
  // An access as it came.
  struct OriginalAccess {
    std::string path;
    Time time;
    bool counted;  // as coalesced or cancelled
    Slot row;      // that the log needs until it has the access under its new name
  };
  using Affected = std::vector<OriginalAccess>;

  template <class Change>
  [[nodiscard]] bool is_new(const Change& change);
  void arrive(std::string_view path, Time time, bool counted, bool may_grow, Slot row = kNoSlot);
  PendingTable::Added put(const HashedPlace& where, Time time, std::size_t used);
  void count(PendingTable::Added added, bool counted);
  void end(std::string_view path, bool subtree, Order by);
  void remember_cancelled(CancelledAccesses::Cancelled cancelled);
  [[nodiscard]] OriginalAccess known(const PendingTable::Withdrawn& withdrawn) const;
  void collect(std::string_view path, bool subtree, Time until, Affected& affected);
  void revive(std::string_view path, Time until, Affected& affected);
  void arrive_again(const Affected& affected);

  const Exports& exports_;
  const std::size_t memory_;
  std::size_t limit_;
  std::size_t overflow_from_ = 0;
  Take overflow_;
  Tell tell_;
  const std::size_t max_cancelled_;
  PendingTable table_;
  RenameHistory history_;
  CancelledAccesses cancelled_;
  Clock::Instant now_;
  Counts counts_;
};

}  // namespace qatime::backlog
