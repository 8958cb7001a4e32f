// SPDX-License-Identifier: MIT
#include "pending/pending_index.h"

#include <algorithm>
#include <cassert>
#include <optional>

namespace qatime::backlog {
namespace {

HistoryLimits share(const HistoryLimits& limits, std::size_t memory) {
  return {limits.retention, std::min(limits.bytes, memory / 8), limits.cancelled};
}

}  // namespace

PendingIndex::PendingIndex(const Exports& exports, std::size_t memory, Clock::Instant now, const HistoryLimits& limits,
                           LogIndex* rows)
    : exports_{exports},
      memory_{memory},
      limit_{memory},
      max_cancelled_{limits.cancelled},
      table_{exports, now, share(limits, memory), rows},
      history_{share(limits, memory)},
      cancelled_{share(limits, memory)},
      now_{now} {}

void PendingIndex::advance(Clock::Instant now) {
  now_ = now;
  table_.advance(now);
  history_.forget(now);
  cancelled_.forget(now);
}

// One that has come before is counted, and nothing else: it would end what it has moved itself.
template <class Change>
bool PendingIndex::is_new(const Change& change) {
  if (history_.knows(change)) {
    ++counts_.repeated;
    return false;
  }
  if (tell_) tell_(change);
  return true;
}

void PendingIndex::take_in(const Access& access) { arrive(access.path, access.time, false, used_bytes() < limit_); }

// Where nothing is known of later changes to the names, what is at a path is what was there when the change happened.
// Else all that the change may concern leaves the table and arrives again, each access under the name that it came
// with: that name and its time tell where it is, whatever the order in which the changes came.
void PendingIndex::take_in(const Move& move) {
  if (is_within(move.path, move.target) || is_within(move.target, move.path)) return;  // changes nothing
  if (!is_new(move)) return;
  Affected affected;
  const Order order = history_.next(move.time);
  if (history_.untouched_since(move.path, move.time) && history_.untouched_since(move.target, move.time)) {
    end(move.target, true, order);
    const auto take = [&](const PendingTable::Withdrawn& withdrawn) { affected.push_back(known(withdrawn)); };
    table_.move_directories(move.path, move.target, move.time, take);
    table_.withdraw(move.path, true, move.time, take);
    if (!exports_.place(move.path)) revive(move.path, move.time, affected);  // what had left all exports
  } else {
    collect(move.path, true, move.time, affected);
    collect(move.target, true, move.time, affected);
    revive(move.path, move.time, affected);
  }
  history_.remember(move, now_);
  arrive_again(affected);
}

void PendingIndex::take_in(const Removal& removal) {
  if (!is_new(removal)) return;
  Affected affected;
  if (history_.untouched_since(removal.path, removal.time)) {
    end(removal.path, removal.subtree, history_.next(removal.time));
  } else {
    collect(removal.path, removal.subtree, removal.time, affected);
  }
  history_.remember(removal, now_);
  arrive_again(affected);
}

void PendingIndex::take_in(const Event& event) {
  std::visit([this](const auto& what) { take_in(what); }, event);
}

void PendingIndex::locate(const Exports& exports, Events events, std::vector<HashedPlace>& places) {
  places.clear();
  for (const Event& event : events) {
    const auto* const access = std::get_if<Access>(&event);
    const auto place = access != nullptr ? exports.place(access->path) : std::nullopt;
    places.push_back(place ? HashedPlace{*place} : HashedPlace{});
  }
}

void PendingIndex::take_in(Events events, std::span<const HashedPlace> places) {
  assert(events.size() == places.size());
  for (std::size_t begin = 0; begin < events.size(); begin += PendingTable::kAhead) {
    const std::size_t end = std::min(begin + PendingTable::kAhead, events.size());
    table_.look_ahead(places.subspan(begin, end - begin));
    const std::size_t used = used_bytes();
    for (std::size_t i = begin; i < end; ++i) {
      const auto* const access = std::get_if<Access>(&events[i]);
      if (access == nullptr) {
        take_in(events[i]);
      } else if (places[i].place.directory.empty() ||
                 history_.follow(access->path, access->time).kind != Resolution::Kind::stays) {
        arrive(access->path, access->time, false, used < limit_);
      } else {
        count(put(places[i], access->time, used), false);
      }
    }
  }
}

PendingTable::Added PendingIndex::put(const HashedPlace& where, Time time, std::size_t used) {
  const bool overflows = overflow_ && used >= overflow_from_;
  const PendingTable::Added added = table_.add(where, time, used < limit_ && !overflows);
  if (added != PendingTable::Added::refused || !overflows) return added;
  if (overflow_(where.place, time)) return PendingTable::Added::waits;
  return table_.add(where, time, used < limit_);
}

// An access that came for `path`: it waits where its object is now, if that is anywhere in the exports.
void PendingIndex::arrive(std::string_view path, Time time, bool counted, bool may_grow, Slot row) {
  const Resolution resolution = history_.follow(path, time);
  const auto place =
      resolution.kind == Resolution::Kind::ends
          ? std::nullopt
          : exports_.place(resolution.kind == Resolution::Kind::moves ? std::string_view{resolution.path} : path);
  if (!place) {
    if (resolution.kind != Resolution::Kind::stays) remember_cancelled({std::string{path}, time, resolution.last});
    if (!counted) ++counts_.cancelled;
    return;
  }
  count(row == kNoSlot ? table_.add(*place, time, may_grow) : table_.restore(*place, time, {row}), counted);
}

void PendingIndex::count(PendingTable::Added added, bool counted) {
  switch (added) {
    case PendingTable::Added::waits:
      if (counted) ++counts_.recovered;
      return;
    case PendingTable::Added::coalesced:
      if (!counted) ++counts_.coalesced;
      return;
    case PendingTable::Added::refused:
      ++counts_.refused;
      return;
  }
}

// Ends what is at `path` and, with `subtree`, below it by a change that nothing later concerns.
void PendingIndex::end(std::string_view path, bool subtree, Order by) {
  std::size_t left = max_cancelled_;
  table_.withdraw(path, subtree, by.time, [&](const PendingTable::Withdrawn& withdrawn) {
    if (!withdrawn.superseded) ++counts_.cancelled;
    if (left == 0) return;
    --left;
    remember_cancelled({history_.origin(withdrawn.path, withdrawn.time), withdrawn.time, by});
  });
}

// A backlog that is nearly full keeps its room for what is pending.
void PendingIndex::remember_cancelled(CancelledAccesses::Cancelled cancelled) {
  if (used_bytes() < memory_ - memory_ / 8) cancelled_.remember(std::move(cancelled), now_);
}

PendingIndex::OriginalAccess PendingIndex::known(const PendingTable::Withdrawn& withdrawn) const {
  return {history_.origin(withdrawn.path, withdrawn.time), withdrawn.time, withdrawn.superseded, withdrawn.row};
}

// Takes out what may have been at `path` or, with `subtree`, below it at the time `until`.
void PendingIndex::collect(std::string_view path, bool subtree, Time until, Affected& affected) {
  for (const std::string& now_at : history_.destinations(path, until)) {
    table_.withdraw(now_at, subtree, until,
                    [&](const PendingTable::Withdrawn& withdrawn) { affected.push_back(known(withdrawn)); });
  }
}

// Takes out what has ended after `until` as far as was known, and may have been at or below `path` then. It stays
// gone where the change that ended it is forgotten.
void PendingIndex::revive(std::string_view path, Time until, Affected& affected) {
  if (cancelled_.empty()) return;
  for (const std::string& source : history_.sources(path, until)) {
    for (auto& cancelled : cancelled_.extract(source, until)) {
      if (history_.remembers(cancelled.by))
        affected.push_back({std::move(cancelled.path), cancelled.time, true, kNoSlot});
    }
  }
}

void PendingIndex::arrive_again(const Affected& affected) {
  for (const auto& [path, time, counted, row] : affected) arrive(path, time, counted, true, row);
}

std::optional<std::string> PendingIndex::current_path(const std::string& path, Time time, std::uint64_t mark) const {
  if (mark == history_.last_sequence()) return path;
  const std::string origin = history_.origin(path, time, mark);
  const Resolution resolution = history_.follow(origin, time);
  if (resolution.kind == Resolution::Kind::ends) return std::nullopt;
  return resolution.kind == Resolution::Kind::moves ? resolution.path : origin;
}

bool PendingIndex::follow_flight(Ticket ticket) {
  const auto flight = table_.flight(ticket);
  assert(flight);
  if (!flight || flight->mark == history_.last_sequence()) return false;
  const std::string origin = history_.origin(flight->path, flight->time, flight->mark);
  if (current_path(flight->path, flight->time, flight->mark) == flight->path) return false;
  Affected affected;  // what met the flight under a name that was not its own any more
  table_.withdraw(flight->path, false, Time::max(),
                  [&](const PendingTable::Withdrawn& withdrawn) { affected.push_back(known(withdrawn)); });
  const Slot row = table_.stored(ticket).row;
  table_.settle(ticket);
  arrive(origin, flight->time, false, true, row);
  arrive_again(affected);
  return true;
}

std::size_t PendingIndex::bytes() const noexcept { return table_.bytes() + history_.bytes() + cancelled_.bytes(); }

std::size_t PendingIndex::used_bytes() const noexcept { return bytes() - std::min(table_.spare_bytes(), memory_ / 8); }

}  // namespace qatime::backlog
