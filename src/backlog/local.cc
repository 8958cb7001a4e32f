// SPDX-License-Identifier: MIT
#include "backlog/local.h"

#include <algorithm>
#include <cassert>
#include <variant>

namespace qatime::backlog {
namespace {

constexpr std::size_t kMaxInvalidationBytes = 1 << 20;  // and an eighth of backlog.memory; beyond it, all is doubtful

}  // namespace

Local::Local(const BacklogConfig& config, Lanes lanes, const Clock& clock, metrics::Registry& registry,
             Remembrance remembrance)
    : memory_{config.memory},
      lanes_{std::move(lanes)},
      clock_{clock},
      table_{lanes_, clock.now()},
      changes_{{remembrance.retention, std::min(remembrance.bytes, config.memory / 8)}},
      now_{clock.now()},
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

void Local::take_in(const Access& access) {
  const bool may_grow = bytes() < memory_;
  const Fate fate = changes_.follow(access.path, {access.time});
  switch (fate.kind) {
    case Fate::Kind::stays:
      return place(access.path, access.time, may_grow);
    case Fate::Kind::moves:
      return place(fate.path, access.time, may_grow);
    case Fate::Kind::ends:
      return cancelled_.add();
  }
}

// What is moved twice goes on from where the first move has taken it: changes that happened after this one may have
// come before it.
void Local::take_in(const Move& move) {
  if (is_within(move.path, move.target) || is_within(move.target, move.path)) return;  // changes nothing
  const Order order = changes_.remember(move, now_);
  invalidate(move.path);
  invalidate(move.target);
  cancelled_.add(table_.cancel(move.target, true, move.time));
  if (changes_.is_latest(order)) table_.move_directories(move.path, move.target, move.time);
  for (const auto& [path, time] : table_.extract(move.path, move.time)) {
    const std::string moved = rebase(path, move.path, move.target);
    const Fate fate = changes_.follow(moved, {order.time, order.sequence + 1});
    if (fate.kind == Fate::Kind::ends) {
      cancelled_.add();
    } else {
      place(fate.kind == Fate::Kind::moves ? fate.path : moved, time, true);
    }
  }
}

void Local::take_in(const Removal& removal) {
  changes_.remember(removal, now_);
  invalidate(removal.path);
  cancelled_.add(table_.cancel(removal.path, removal.subtree, removal.time));
}

// A path that is in no export has none of our accesses any more.
void Local::place(std::string_view path, Time time, bool may_grow) {
  const auto place = lanes_.place(path);
  if (!place) return cancelled_.add();
  switch (table_.add(*place, time, may_grow)) {
    case Table::Added::waits:
      return;
    case Table::Added::coalesced:
      return coalesced_.add();
    case Table::Added::refused:
      return dropped_.add();
  }
}

// Ends the flight if a change that came since it was taken explains why its object is not there. Whether it did.
bool Local::follow_flight(Ticket ticket) {
  const auto flight = table_.flight(ticket);
  assert(flight);
  if (!flight) return false;
  const Fate fate = changes_.follow(flight->path, {flight->time}, flight->mark);
  if (fate.kind == Fate::Kind::stays) return false;
  table_.settle(ticket);
  if (fate.kind == Fate::Kind::ends) {
    cancelled_.add();
  } else {
    place(fate.path, flight->time, true);
  }
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

std::size_t Local::bytes() const noexcept { return table_.bytes() + changes_.bytes() + invalidation_bytes_; }

void Local::publish() {
  pending_.set(static_cast<std::int64_t>(table_.pending()));
  in_flight_.set(static_cast<std::int64_t>(table_.in_flight()));
  bytes_.set(static_cast<std::int64_t>(bytes()));
}

}  // namespace qatime::backlog
