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
      ledger_{lanes_, memory_, clock.now(), remembrance},
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
    ledger_.advance(clock_.now());
    for (const Event& event : events) {
      std::visit(
          [this](const auto& what) {
            invalidate(what);
            ledger_.take_in(what);
          },
          event);
    }
    publish();
    news = ledger_.table().take_news();
  }
  if (news && wake_) wake_();
}

Slice Local::take(std::size_t lane, std::size_t limit) {
  const std::lock_guard lock{mutex_};
  ledger_.table().advance(clock_.now());
  Slice slice = ledger_.table().take(lane, limit, ledger_.mark());
  publish();
  return slice;
}

void Local::take_more(Slice& slice, std::size_t limit) {
  const std::lock_guard lock{mutex_};
  ledger_.table().take_more(slice, limit, ledger_.mark());
  publish();
}

void Local::settle(Ticket ticket) {
  const std::lock_guard lock{mutex_};
  assert(ledger_.table().flight(ticket));
  ledger_.table().settle(ticket);
  publish();
}

void Local::put_back(Ticket ticket, Clock::Instant not_before, Retry retry) {
  const std::lock_guard lock{mutex_};
  if (!ledger_.follow_flight(ticket) && ledger_.table().put_back(ticket, not_before, retry)) coalesced_.add();
  publish();
}

bool Local::reconsider(Ticket ticket) {
  const std::lock_guard lock{mutex_};
  const bool explained = ledger_.follow_flight(ticket);
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
  return ledger_.table().next_due();
}

std::size_t Local::pending() const {
  const std::lock_guard lock{mutex_};
  return ledger_.table().pending();
}

std::chrono::seconds Local::oldest() const {
  const std::lock_guard lock{mutex_};
  return ledger_.table().oldest(clock_.now());
}

// Where one path lies within the other nothing is changed.
void Local::invalidate(const Move& move) {
  if (is_within(move.path, move.target) || is_within(move.target, move.path)) return;
  doubt(move.path);
  doubt(move.target);
}

void Local::doubt(std::string_view path) {
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

std::size_t Local::bytes() const noexcept { return ledger_.bytes() + invalidation_bytes_; }

void Local::publish() {
  const Ledger::Tally tally = ledger_.take_tally();
  recovered_.add(tally.recovered);
  coalesced_.add(tally.coalesced);
  cancelled_.add(tally.cancelled);
  dropped_.add(tally.refused);
  pending_.set(static_cast<std::int64_t>(ledger_.table().pending()));
  in_flight_.set(static_cast<std::int64_t>(ledger_.table().in_flight()));
  bytes_.set(static_cast<std::int64_t>(bytes()));
}

}  // namespace qatime::backlog
