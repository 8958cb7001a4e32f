// SPDX-License-Identifier: MIT
// The life cycle of a backlog that survives the process.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>

namespace qatime::backlog {

// Keeps what a backlog has taken in for the next start. One owner, one thread.
class Durability {
 public:
  virtual ~Durability() = default;

  virtual void start() = 0;

  // Begins to keep all that the backlog has taken in, and then to end; it tries for `limit`.
  virtual void begin_stop(std::chrono::milliseconds limit) = 0;

  // After begin_stop(): whether all is kept; nothing as long as it still tries. It is not where the disk hangs or
  // refuses; the destructor waits for a disk that hangs.
  [[nodiscard]] virtual std::optional<bool> outcome() = 0;

  // Accesses that wait for the next start. Any thread.
  [[nodiscard]] virtual std::size_t kept() const = 0;
};

}  // namespace qatime::backlog
