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
  // Whether what comes may still be sent to us.
  enum class Effect { degraded, unready };

  struct Alert {
    std::string reason;   // as qatime_degraded has it, or the name of a stage
    std::string subject;  // an export, a server: bytes
    std::string text;     // what is wrong, and what to do: bytes
    Effect effect = Effect::degraded;
    Time since{};
  };
  // Something is wrong with `subject`; it stays the same alert when its text or effect changes.
  void raise(std::string_view reason, std::string_view subject, std::string_view text,
             Effect effect = Effect::degraded);
  // It is not, or no more.
  void resolve(std::string_view reason, std::string_view subject);
  // The oldest first.
  [[nodiscard]] std::vector<Alert> active() const;

  struct Failure {
    std::string subject;  // a path or a message: bytes, kLongest of them at most
    std::string reason;
    Time time{};
  };
  static constexpr std::size_t kFailures = 50;
  static constexpr std::size_t kLongest = 1024;
  // Something has failed for good. Only the last kFailures are kept.
  void fail(std::string_view subject, std::string_view reason);
  // The latest first.
  [[nodiscard]] std::vector<Failure> failures() const;

 private:
  std::deque<Alert>::iterator find(std::string_view reason, std::string_view subject) QATIME_REQUIRES(mutex_);

  mutable Mutex mutex_;
  std::deque<Alert> active_ QATIME_GUARDED_BY(mutex_);
  std::vector<Failure> failures_ QATIME_GUARDED_BY(mutex_);  // a ring
  std::size_t next_ QATIME_GUARDED_BY(mutex_) = 0;           // its next place
};

}  // namespace qatime
