// SPDX-License-Identifier: MIT
// The end of a thread that keeps a backlog: its limit and its outcome.
#pragma once

#include <chrono>
#include <optional>

namespace qatime::backlog {

// How a thread that keeps a backlog is told to end, and says how it ended. Guarded by its owner's mutex, whose
// condition variable is notified after each change.
class Shutdown {
 public:
  using Instant = std::chrono::steady_clock::time_point;

  // The thread is to end, and may try for `limit` to keep everything before that.
  void request(std::chrono::milliseconds limit) { deadline_ = std::chrono::steady_clock::now() + limit; }

  [[nodiscard]] bool is_requested() const noexcept { return deadline_ != Instant::max(); }
  [[nodiscard]] bool is_late() const noexcept { return std::chrono::steady_clock::now() >= deadline_; }
  [[nodiscard]] Instant deadline() const noexcept { return deadline_; }

  // The thread has ended.
  void finish(bool is_complete) { outcome_ = is_complete; }

  // As in Durability.
  [[nodiscard]] std::optional<bool> outcome() const {
    if (!outcome_ && is_late()) return false;
    return outcome_;
  }

 private:
  Instant deadline_ = Instant::max();  // until it is requested
  std::optional<bool> outcome_;        // with everything kept?
};

}  // namespace qatime::backlog
