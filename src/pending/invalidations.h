// SPDX-License-Identifier: MIT
// The list of path prefixes whose names may mean other objects now, bounded.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "pending/slice.h"

namespace qatime::backlog {

// Collects the paths of Invalidations, in bounded memory. One owner, but for has_some().
class InvalidationList {
 public:
  static constexpr std::size_t kMaxBytes = 1 << 20;

  // Beyond `max_bytes`, or kMaxBytes if that is less, everything is invalidated.
  explicit InvalidationList(std::size_t max_bytes = kMaxBytes) : max_bytes_{std::min(max_bytes, kMaxBytes)} {}

  void add(std::string_view path) {
    has_some_.store(true, std::memory_order_release);
    if (found_.everything) return;
    bytes_ += sizeof(std::string) + path.size();
    if (bytes_ <= max_bytes_) {
      found_.paths.emplace_back(path);
      return;
    }
    found_ = {{}, true};
    bytes_ = 0;
  }

  // Whether take() would return any. Any thread.
  [[nodiscard]] bool has_some() const noexcept { return has_some_.load(std::memory_order_acquire); }

  // Returns all invalidations since the last call.
  [[nodiscard]] Invalidations take() {
    has_some_.store(false, std::memory_order_release);
    bytes_ = 0;
    return std::exchange(found_, {});
  }

  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }

 private:
  std::size_t max_bytes_;
  std::size_t bytes_ = 0;
  std::atomic<bool> has_some_{false};
  Invalidations found_;
};

}  // namespace qatime::backlog
