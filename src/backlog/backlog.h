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

// One entry per path, the newest time wins, whatever the order of arrival. An entry is waiting, in flight, or in
// flight with a newer time waiting; the settling of the older one never loses the newer.
//
// add() is called by the intake thread, everything else by the apply thread unless it says otherwise. No call waits
// for a network, nor for a disk, but for an add() that finds no memory left.
class Backlog {
 public:
  virtual ~Backlog() = default;

  // Takes in events in their order of arrival; copies what it keeps. What finds no room is dropped and counted.
  virtual void add(Events events) = 0;

  // The next `limit` entries at most of the directory of the export that has waited longest, or an
  // empty slice.
  [[nodiscard]] virtual Slice take(std::size_t export_index, std::size_t limit) = 0;

  // Adds `limit` more entries of its directory at most to a slice that was just taken.
  virtual void take_more(Slice& slice, std::size_t limit) = 0;

  // The entry has its outcome.
  virtual void settle(Ticket ticket) = 0;

  // The entry waits again, behind the others of its export and not before `not_before`; a newer time that arrived
  // meanwhile stays the newer.
  virtual void put_back(Ticket ticket, Clock::Instant not_before, Retry retry) = 0;

  // The entry's object was not there under its name. Where a move or a removal explains that, the entry goes on under
  // its new name or is cancelled, its ticket ends and the result is true; else nothing happens.
  [[nodiscard]] virtual bool reconsider(Ticket ticket) = 0;

  // Whether the entry may still be set: it is not somebody else's, and will not be as long as the request may take. If
  // not, put it back.
  [[nodiscard]] virtual bool is_ours(Ticket /*ticket*/) const { return true; }

  // How long a request may take from now on.
  virtual void allow_for(Clock::Duration /*request*/) {}

  // What moves and removals have made doubtful since the last call.
  [[nodiscard]] virtual Invalidations take_invalidations() = 0;

  // When the next entry that was put back may be taken; nothing if none waits for its moment.
  [[nodiscard]] virtual std::optional<Clock::Instant> next_due() const = 0;

  // Entries waiting or in flight. Any thread.
  [[nodiscard]] virtual std::size_t pending() const = 0;

  // Entries that are taken. Any thread.
  [[nodiscard]] virtual std::size_t in_flight() const = 0;

  // How long the oldest of what is pending has been here; zero if nothing is. Any thread.
  [[nodiscard]] virtual std::chrono::seconds oldest() const = 0;

  // Has `wake` called, by the thread that calls add() or one of the backlog, whenever there may be something new to
  // take. Set before the first add().
  virtual void on_work(std::function<void()> wake) = 0;
};

}  // namespace qatime::backlog
