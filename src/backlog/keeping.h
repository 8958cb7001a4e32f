// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>

namespace qatime::backlog {

// What has a backlog survive the process. One owner, one thread.
class Keeping {
 public:
  virtual ~Keeping() = default;

  virtual void start() = 0;

  // Has it keep all that the backlog has taken in, and end; it tries for `limit`.
  virtual void begin_stop(std::chrono::milliseconds limit) = 0;

  // After begin_stop(): whether all is kept, or nothing as long as it still tries. If it is not, the disk hangs or
  // refuses; the destructor waits for a disk that hangs.
  [[nodiscard]] virtual std::optional<bool> outcome() = 0;

  // Accesses that wait for the next start. Any thread.
  [[nodiscard]] virtual std::size_t kept() const = 0;
};

}  // namespace qatime::backlog
