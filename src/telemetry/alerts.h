// SPDX-License-Identifier: MIT
// The active alerts and the last failures, for an administrator.
#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "base/mutex.h"
#include "base/timestamp.h"

namespace qatime {

// Any thread.
class Alerts {
 public:
  // Whether the daemon can still take records: `unready` makes /readyz fail.
  enum class Effect { degraded, unready };

  struct Alert {
    std::string reason;   // a label of qatime_degraded, or "server", "name", "root" or "future"
    std::string subject;  // an export, a server, a key: bytes
    std::string text;     // what is wrong, and what to do: bytes
    Effect effect = Effect::degraded;
    Time since{};
  };
  // Raises the alert of `reason` and `subject`, or changes its text and effect if it is active.
  void raise(std::string_view reason, std::string_view subject, std::string_view text,
             Effect effect = Effect::degraded);
  // Removes the alert if it is active.
  void resolve(std::string_view reason, std::string_view subject);
  // Returns the active alerts, the oldest first.
  [[nodiscard]] std::vector<Alert> active() const;

  struct Failure {
    std::string subject;  // a path or a message: bytes, kLongest of them at most
    std::string reason;
    Time time{};
  };
  static constexpr std::size_t kFailures = 50;
  static constexpr std::size_t kLongest = 1024;
  // Records that a path or message failed for good. Keeps the last kFailures.
  void fail(std::string_view subject, std::string_view reason);
  // Returns the failures, the latest first.
  [[nodiscard]] std::vector<Failure> failures() const;

 private:
  std::deque<Alert>::iterator find(std::string_view reason, std::string_view subject) QATIME_REQUIRES(mutex_);

  mutable Mutex mutex_;
  std::deque<Alert> active_ QATIME_GUARDED_BY(mutex_);
  std::vector<Failure> failures_ QATIME_GUARDED_BY(mutex_);  // a ring
  std::size_t next_ QATIME_GUARDED_BY(mutex_) = 0;           // where the next failure goes
};

}  // namespace qatime
