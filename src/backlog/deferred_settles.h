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

// Who settles one entry after the other would wait for the lock of the backlog each time, and be put to sleep, while
// intake has it for a whole read. It leaves its tickets here, and whoever has the lock for long settles them before it
// lets go. Any thread.
class DeferredSettles {
 public:
  // By who has the lock of the backlog: leave() takes tickets until close(), which returns them.
  void open() {
    const MutexLock lock{mutex_};
    is_open_ = true;
  }
  [[nodiscard]] std::vector<Ticket> close() {
    const MutexLock lock{mutex_};
    is_open_ = false;
    return std::exchange(tickets_, {});
  }

  // Whether the ticket was taken; else it is up to the caller, who waits for the lock. What was taken does not count as
  // `pending` any more; who has the lock tells anew how much is once he has closed this, and not before.
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
