// SPDX-License-Identifier: MIT
#include "backlog/local.h"

#include <algorithm>
#include <cassert>
#include <variant>

namespace qatime::backlog {
namespace {

constexpr std::size_t kMaxInvalidationBytes = 1 << 20;  // and an eighth of backlog.memory; beyond it, all is doubtful

Remembrance share(const Remembrance& remembrance, std::size_t memory) {
  return {remembrance.retention, std::min(remembrance.bytes, memory / 8), remembrance.endings};
}

}  // namespace

Local::Local(const BacklogConfig& config, Lanes lanes, const Clock& clock, metrics::Registry& registry,
             Remembrance remembrance)
    : memory_{config.memory},
      max_endings_{remembrance.endings},
      lanes_{std::move(lanes)},
      clock_{clock},
      table_{lanes_, clock.now(), share(remembrance, memory_)},
      changes_{share(remembrance, memory_)},
      endings_{share(remembrance, memory_)},
      now_{clock.now()},
      recovered_{
          registry.counter("qatime_recovered_total",
                           "Accesses counted as coalesced or cancelled that a late move or removal brought back")},
      coalesced_{
          registry.counter("qatime_coalesced_total", "Accesses that met another of the same path, the newer won")},
      cancelled_{registry.counter("qatime_cancelled_total", "Accesses to what was removed or replaced since")},
      dropped_{
          registry.counter("qatime_dropped_total", "Accesses for which there was no room", {"reason", "memory_full"})},
      pending_{registry.gauge("qatime_pending_entries", "Accesses without outcome yet, waiting or in flight")},
      in_flight_{registry.gauge("qatime_in_flight", "Paths that are being worked on")},
      bytes_{registry.gauge("qatime_backlog_bytes", "Memory that the backlog takes")} {
  publish();
}

void Local::add(Events events) {
  bool news = false;
  {
    const std::lock_guard lock{mutex_};
    now_ = clock_.now();
    table_.advance(now_);
    changes_.forget(now_);
    endings_.forget(now_);
    for (const Event& event : events) std::visit([this](const auto& what) { take_in(what); }, event);
    publish();
    news = table_.take_news();
  }
  if (news && wake_) wake_();
}

Slice Local::take(std::size_t lane, std::size_t limit) {
  const std::lock_guard lock{mutex_};
  table_.advance(clock_.now());
  Slice slice = table_.take(lane, limit, changes_.last_sequence());
  publish();
  return slice;
}

void Local::take_more(Slice& slice, std::size_t limit) {
  const std::lock_guard lock{mutex_};
  table_.take_more(slice, limit, changes_.last_sequence());
  publish();
}

void Local::settle(Ticket ticket) {
  const std::lock_guard lock{mutex_};
  assert(table_.flight(ticket));
  table_.settle(ticket);
  publish();
}

void Local::put_back(Ticket ticket, Clock::Instant not_before, Retry retry) {
  const std::lock_guard lock{mutex_};
  if (!follow_flight(ticket) && table_.put_back(ticket, not_before, retry)) coalesced_.add();
  publish();
}

bool Local::reconsider(Ticket ticket) {
  const std::lock_guard lock{mutex_};
  const bool explained = follow_flight(ticket);
  publish();
  return explained;
}

Invalidations Local::take_invalidations() {
  const std::lock_guard lock{mutex_};
  invalidation_bytes_ = 0;
  return std::exchange(invalidations_, {});
}

std::optional<Clock::Instant> Local::next_due() const {
  const std::lock_guard lock{mutex_};
  return table_.next_due();
}

std::size_t Local::pending() const {
  const std::lock_guard lock{mutex_};
  return table_.pending();
}

std::chrono::seconds Local::oldest() const {
  const std::lock_guard lock{mutex_};
  return table_.oldest(clock_.now());
}

void Local::take_in(const Access& access) { arrive(access.path, access.time, false, bytes() < memory_); }

// Where nothing is known of later changes to the names, what is at a path is what was there when the change happened.
// Else all that the change may concern leaves the table and arrives again, each access under the name that it came
// with: that name and its time tell its fate, whatever the order in which the changes came.
void Local::take_in(const Move& move) {
  if (is_within(move.path, move.target) || is_within(move.target, move.path)) return;  // changes nothing
  invalidate(move.path);
  invalidate(move.target);
  Affected affected;
  const Order order = changes_.next(move.time);
  if (changes_.untouched_since(move.path, move.time) && changes_.untouched_since(move.target, move.time)) {
    end(move.target, true, order);
    const auto take = [&](const Table::Loose& loose) { affected.push_back(known(loose)); };
    table_.move_directories(move.path, move.target, move.time, take);
    table_.withdraw(move.path, true, move.time, take);
    if (!lanes_.place(move.path)) revive(move.path, move.time, affected);  // what had left all exports
  } else {
    collect(move.path, true, move.time, affected);
    collect(move.target, true, move.time, affected);
    revive(move.path, move.time, affected);
  }
  changes_.remember(move, now_);
  arrive_again(affected);
}

void Local::take_in(const Removal& removal) {
  invalidate(removal.path);
  Affected affected;
  if (changes_.untouched_since(removal.path, removal.time)) {
    end(removal.path, removal.subtree, changes_.next(removal.time));
  } else {
    collect(removal.path, removal.subtree, removal.time, affected);
  }
  changes_.remember(removal, now_);
  arrive_again(affected);
}

// An access that came for `path`: it waits where its object is now, if that is anywhere in the exports.
void Local::arrive(std::string_view path, Time time, bool counted, bool may_grow) {
  const Fate fate = changes_.follow(path, time);
  const auto place = fate.kind == Fate::Kind::ends
                         ? std::nullopt
                         : lanes_.place(fate.kind == Fate::Kind::moves ? std::string_view{fate.path} : path);
  if (!place) {
    if (fate.kind != Fate::Kind::stays) remember_ending({std::string{path}, time, fate.last});
    if (!counted) cancelled_.add();
    return;
  }
  switch (table_.add(*place, time, may_grow)) {
    case Table::Added::waits:
      if (counted) recovered_.add();
      return;
    case Table::Added::coalesced:
      if (!counted) coalesced_.add();
      return;
    case Table::Added::refused:
      return dropped_.add();
  }
}

// Ends what is at `path` and, with `subtree`, below it by a change that nothing later concerns.
void Local::end(std::string_view path, bool subtree, Order by) {
  std::size_t left = max_endings_;
  table_.withdraw(path, subtree, by.time, [&](const Table::Loose& loose) {
    if (!loose.superseded) cancelled_.add();
    if (left == 0) return;
    --left;
    remember_ending({changes_.origin(loose.path, loose.time), loose.time, by});
  });
}

// A backlog that is nearly full keeps its room for what is pending.
void Local::remember_ending(Endings::Ending ending) {
  if (bytes() < memory_ - memory_ / 8) endings_.remember(std::move(ending), now_);
}

Local::Known Local::known(const Table::Loose& loose) const {
  return {changes_.origin(loose.path, loose.time), loose.time, loose.superseded};
}

// Takes out what may have been at `path` or, with `subtree`, below it at the time `until`.
void Local::collect(std::string_view path, bool subtree, Time until, Affected& affected) {
  for (const std::string& now_at : changes_.destinations(path, until)) {
    table_.withdraw(now_at, subtree, until, [&](const Table::Loose& loose) { affected.push_back(known(loose)); });
  }
}

// Takes out what has ended after `until` as far as was known, and may have been at or below `path` then. It stays
// gone where the change that ended it is forgotten.
void Local::revive(std::string_view path, Time until, Affected& affected) {
  if (endings_.empty()) return;
  for (const std::string& source : changes_.sources(path, until)) {
    for (auto& ending : endings_.extract(source, until)) {
      if (changes_.remembers(ending.by)) affected.push_back({std::move(ending.path), ending.time, true});
    }
  }
}

void Local::arrive_again(const Affected& affected) {
  for (const auto& [path, time, counted] : affected) arrive(path, time, counted, true);
}

// Ends the flight if a change that came since it was taken explains why its object is not there. Whether it did.
bool Local::follow_flight(Ticket ticket) {
  const auto flight = table_.flight(ticket);
  assert(flight);
  if (!flight || flight->mark == changes_.last_sequence()) return false;
  const std::string origin = changes_.origin(flight->path, flight->time, flight->mark);
  const Fate fate = changes_.follow(origin, flight->time);
  if (fate.kind != Fate::Kind::ends && (fate.kind == Fate::Kind::moves ? fate.path : origin) == flight->path)
    return false;
  Affected affected;  // what met the flight under a name that was not its own any more
  table_.withdraw(flight->path, false, Time::max(),
                  [&](const Table::Loose& loose) { affected.push_back(known(loose)); });
  table_.settle(ticket);
  arrive(origin, flight->time, false, true);
  arrive_again(affected);
  return true;
}

void Local::invalidate(std::string_view path) {
  if (invalidations_.everything) return;
  invalidation_bytes_ += sizeof(std::string) + path.size();
  invalidations_.everything = invalidation_bytes_ > std::min(kMaxInvalidationBytes, memory_ / 8);
  if (invalidations_.everything) {
    invalidations_.paths = {};
    invalidation_bytes_ = 0;
  } else {
    invalidations_.paths.emplace_back(path);
  }
}

std::size_t Local::bytes() const noexcept {
  return table_.bytes() + changes_.bytes() + endings_.bytes() + invalidation_bytes_;
}

void Local::publish() {
  pending_.set(static_cast<std::int64_t>(table_.pending()));
  in_flight_.set(static_cast<std::int64_t>(table_.in_flight()));
  bytes_.set(static_cast<std::int64_t>(bytes()));
}

}  // namespace qatime::backlog
