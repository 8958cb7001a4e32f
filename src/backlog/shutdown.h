// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <optional>

namespace qatime::backlog {

// How a thread that keeps a backlog is told to end, and says how it ended. Guarded by its owner's mutex, whose
// condition variable is notified after each change.
class Shutdown {
 public:
  // The thread is to end, and may try for `limit` to keep everything before that.
  void request(std::chrono::milliseconds limit) {
    is_requested_ = true;
    deadline_ = Clock::now() + limit;
  }

  [[nodiscard]] bool is_requested() const noexcept { return is_requested_; }
  [[nodiscard]] bool is_late() const { return is_requested_ && Clock::now() >= deadline_; }
  [[nodiscard]] auto deadline() const noexcept { return deadline_; }

  // The thread has ended.
  void finish(bool is_complete) { outcome_ = is_complete; }

  [[nodiscard]] bool is_finished() const noexcept { return outcome_.has_value(); }

  // As in Keeping.
  [[nodiscard]] std::optional<bool> outcome() const {
    if (!outcome_ && is_late()) return false;
    return outcome_;
  }

 private:
  using Clock = std::chrono::steady_clock;

  bool is_requested_ = false;
  Clock::time_point deadline_{};
  std::optional<bool> outcome_;  // with everything kept?
};

}  // namespace qatime::backlog
