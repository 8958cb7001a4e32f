// SPDX-License-Identifier: MIT
// A check that an object stays on one thread, for assert().
#pragma once

#include <atomic>
#include <thread>

namespace qatime {

// Belongs to the first thread that asks it, not the one that made it. The main thread makes many objects that then live
// on the thread of a loop. With NDEBUG it is empty and always returns true. Any thread.
//
//   assert(thread_.is_current());
class ThreadChecker {
 public:
#ifdef NDEBUG
  ThreadChecker() noexcept {}  // not trivial: clang would call a member of this type unused
  [[nodiscard]] bool is_current() const noexcept { return true; }
  void detach() noexcept {}
#else
  // Whether it belongs to the calling thread.
  [[nodiscard]] bool is_current() const noexcept {
    const std::thread::id current = std::this_thread::get_id();
    std::thread::id owner = owner_.load(std::memory_order_relaxed);
    const bool is_free = owner == std::thread::id{};
    if (is_free && owner_.compare_exchange_strong(owner, current, std::memory_order_relaxed)) return true;
    return owner == current;
  }

  // Releases it; the next thread that asks becomes its owner.
  void detach() noexcept { owner_.store({}, std::memory_order_relaxed); }

 private:
  mutable std::atomic<std::thread::id> owner_{};
#endif
};

}  // namespace qatime
