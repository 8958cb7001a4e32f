// SPDX-License-Identifier: MIT
// The end of a thread that keeps a backlog: its limit and its outcome.
#pragma once

#include <chrono>
#include <optional>

namespace qatime::backlog {

// Tells a thread that keeps a backlog to end, and holds its outcome. Guarded by its owner's mutex. The owner notifies
// its condition variable after each change.
class Shutdown {
 public:
  using Instant = std::chrono::steady_clock::time_point;

  // Asks the thread to end. It may try for `limit` to keep everything before that.
  void request(std::chrono::milliseconds limit) { deadline_ = std::chrono::steady_clock::now() + limit; }

  [[nodiscard]] bool is_requested() const noexcept { return deadline_ != Instant::max(); }
  [[nodiscard]] bool is_late() const noexcept { return std::chrono::steady_clock::now() >= deadline_; }
  [[nodiscard]] Instant deadline() const noexcept { return deadline_; }

  // Notes that the thread has ended, and whether it has kept everything.
  void finish(bool is_complete) { outcome_ = is_complete; }

  // As in Durability.
  [[nodiscard]] std::optional<bool> outcome() const {
    if (!outcome_ && is_late()) return false;
    return outcome_;
  }

 private:
  Instant deadline_ = Instant::max();  // until it is requested
  std::optional<bool> outcome_;        // whether everything is kept
};

}  // namespace qatime::backlog
