// SPDX-License-Identifier: MIT
// The seam between ingest and apply: accesses that are not yet on the server.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>

#include "base/event.h"
#include "pending/slice.h"

namespace qatime::backlog {

// There is one entry per path, and the newest time wins, whatever the order of arrival. An entry waits, is in flight,
// or is in flight while a newer time waits. Settling the older one never loses the newer.
//
// Thread: the intake thread calls add(), the apply thread everything else, unless a function says otherwise. No call
// waits for a network. Only an add() that finds no memory left waits for a disk.
class Backlog {
 public:
  virtual ~Backlog() = default;

  // Takes in events in their order of arrival, and copies them. Drops and counts accesses that find no room.
  virtual void add(Events events) = 0;

  // Takes at most `limit` entries of the export's directory that has waited longest for its turn. Returns an empty
  // slice if nothing waits.
  [[nodiscard]] virtual Slice take(std::size_t export_index, std::size_t limit) = 0;

  // The same, but directories that `wants` refuses miss their turn. It must not call the backlog. A backlog that has
  // few entries at a time may ignore it.
  [[nodiscard]] virtual Slice take_wanted(std::size_t export_index, std::size_t limit, const Wants& /*wants*/) {
    return take(export_index, limit);
  }

  // Takes one of the newest entries of the export, one that suits if some thousand directories have one, else the one
  // that has waited longest. Returns an empty slice if nothing waits. `suits` must not call the backlog.
  [[nodiscard]] virtual Slice take_newest(std::size_t export_index, const Suits& suits) = 0;

  // Adds at most `limit` more entries of the same directory to a slice that was just taken.
  virtual void take_more(Slice& slice, std::size_t limit) = 0;

  // Ends the entry, because it has its outcome.
  virtual void settle(Ticket ticket) = 0;

  // Lets the entry wait again, behind the others of its export and until `not_before` at least. A newer time that
  // arrived meanwhile stays the newer.
  virtual void put_back(Ticket ticket, Clock::Instant not_before, Retry retry) = 0;

  // Returns whether a move or a removal explains why the entry's object was not there under its name. If so, the entry
  // waits under its new name or is cancelled, and its ticket ends. Otherwise nothing happens.
  [[nodiscard]] virtual bool reconsider(Ticket ticket) = 0;

  // Whether the entry may still be set: it stays ours for as long as the request might take. If not, put it back.
  [[nodiscard]] virtual bool is_ours(Ticket /*ticket*/) const { return true; }

  // Sets how long a request might take from now on.
  virtual void allow_for(Clock::Duration /*request*/) {}

  // Whether take_invalidations() would return any.
  [[nodiscard]] virtual bool has_invalidations() const = 0;

  // Returns the invalidations by moves and removals since the last call.
  [[nodiscard]] virtual Invalidations take_invalidations() = 0;

  // When the next entry that was put back may be taken; nothing if none waits for its moment. Each take lets a bounded
  // number wait again, so this may be in the past, and a take in vain may be followed by one that finds something.
  [[nodiscard]] virtual std::optional<Clock::Instant> next_due() const = 0;

  // Entries waiting or in flight. Any thread.
  [[nodiscard]] virtual std::size_t pending() const = 0;

  // Entries that are taken. Any thread.
  [[nodiscard]] virtual std::size_t in_flight() const = 0;

  // The age of the oldest pending entry since its arrival; zero if nothing is pending. Any thread.
  [[nodiscard]] virtual std::chrono::seconds oldest() const = 0;

  // Calls `wake` whenever there might be something new to take: on the thread of add() or one of the backlog. Set
  // before the first add().
  virtual void on_work(std::function<void()> wake) = 0;
};

}  // namespace qatime::backlog
