// SPDX-License-Identifier: MIT
// The settlements that wait while another thread is busy with the backlog.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "backlog/backlog.h"
#include "base/mutex.h"
#include "telemetry/metrics.h"

namespace qatime::backlog {

// Intake holds the backlog's lock for a whole read. The apply thread would wait, and sleep, at each ticket that it
// settles. So it leaves the tickets here, and the holder of the lock settles them before it unlocks.
//
// Bounds: kMost tickets; beyond them leave() refuses.
// Thread: any.
class DeferredSettles {
 public:
  // For the holder of the backlog's lock: leave() takes tickets from open() until close(), which returns them.
  void open() {
    const MutexLock lock{mutex_};
    is_open_ = true;
  }
  [[nodiscard]] std::vector<Ticket> close() {
    const MutexLock lock{mutex_};
    is_open_ = false;
    return std::exchange(tickets_, {});
  }

  // Returns whether the ticket was taken; otherwise the caller waits for the lock and settles it. Subtracts a ticket
  // that was taken from `pending`. The holder of the lock sets `pending` after close(), and not before.
  [[nodiscard]] bool leave(Ticket ticket, metrics::Gauge& pending) {
    const MutexLock lock{mutex_};
    if (!is_open_ || tickets_.size() >= kMost) return false;
    tickets_.push_back(ticket);
    pending.add(-1);
    return true;
  }

 private:
  static constexpr std::size_t kMost = 1024;

  Mutex mutex_;
  bool is_open_ QATIME_GUARDED_BY(mutex_) = false;
  std::vector<Ticket> tickets_ QATIME_GUARDED_BY(mutex_);
};

}  // namespace qatime::backlog
