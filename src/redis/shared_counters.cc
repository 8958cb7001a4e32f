// SPDX-License-Identifier: MIT
#include "redis/shared_counters.h"

namespace qatime::backlog::redis {
namespace {

metrics::Counter& dropped(metrics::Registry& registry, const char* reason) {
  return registry.counter("qatime_dropped_total", "Accesses for which there was no room, or that were lost",
                          {"reason", reason});
}

}  // namespace

SharedCounters::SharedCounters(metrics::Registry& registry)
    : recovered_{registry.counter("qatime_recovered_total",
                                  "Accesses that an earlier process had left in the backlog, or that a late move or "
                                  "removal brought back after they were counted as coalesced or cancelled")},
      coalesced_{
          registry.counter("qatime_coalesced_total", "Accesses that met another of the same path, the newer won")},
      cancelled_{registry.counter("qatime_cancelled_total", "Accesses to what was removed or replaced since")},
      handed_over_{registry.counter("qatime_handed_over_total", "Accesses that the shared backlog has taken")},
      claimed_{registry.counter("qatime_claimed_total", "Accesses that came from the shared backlog to be applied")},
      lost_{dropped(registry, "damaged")},
      outside_{dropped(registry, "export")},
      refused_{dropped(registry, "disk_full")},
      failed_{dropped(registry, "disk_failed")},
      pending_{registry.gauge("qatime_pending_entries", "Accesses without outcome yet, waiting or in flight")} {}

// Accesses that come in first, those that have an outcome last: whoever reads the counters in between finds outcomes
// for less than came in, never for more.
void SharedCounters::add(const Delta& delta) {
  const auto add = [](metrics::Counter& counter, std::int64_t count) {
    if (count > 0) counter.add(static_cast<std::uint64_t>(count));
  };
  const MutexLock lock{mutex_};
  add(recovered_, delta.recovered);
  add(claimed_, delta.claimed);
  incoming_ += delta.incoming;
  outgoing_ += delta.outgoing;
  pending_.set(incoming_ + outgoing_);
  add(coalesced_, delta.coalesced);
  add(cancelled_, delta.cancelled);
  add(handed_over_, delta.handed_over);
  add(lost_, delta.lost);
  add(outside_, delta.outside);
  add(refused_, delta.refused);
  add(failed_, delta.failed);
}

std::size_t SharedCounters::incoming() const {
  const MutexLock lock{mutex_};
  return static_cast<std::size_t>(incoming_);
}

std::size_t SharedCounters::pending() const {
  const MutexLock lock{mutex_};
  return static_cast<std::size_t>(incoming_ + outgoing_);
}

}  // namespace qatime::backlog::redis
