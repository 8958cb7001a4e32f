// SPDX-License-Identifier: MIT
// A watch on loops of other threads: whether they still turn.
#pragma once

#include <algorithm>
#include <atomic>
#include <cassert>
#include <deque>
#include <functional>
#include <utility>

#include "base/thread_checker.h"

namespace qatime {

// Asks each loop to answer, and tells whether all have answered. One thread; each loop answers on its own thread, and
// ends before the watchdog does.
class Watchdog {
 public:
  // Posts a function to a loop, which runs it on its own thread.
  using Post = std::function<void(std::function<void()>)>;

  void watch(Post post) {
    assert(thread_.is_current());
    loops_.emplace_back().post = std::move(post);
  }

  // Returns whether every loop has answered since the last call that returned true; if so, asks them again. The first
  // call returns true.
  [[nodiscard]] bool all_turn() {
    assert(thread_.is_current());
    if (!std::ranges::all_of(loops_, [](const Watched& loop) { return loop.answered.load(); })) return false;
    for (Watched& loop : loops_) {
      loop.answered.store(false);
      loop.post([&loop] { loop.answered.store(true); });
    }
    return true;
  }

 private:
  struct Watched {
    Post post;
    std::atomic<bool> answered{true};
  };
  ThreadChecker thread_;
  std::deque<Watched> loops_;
};

}  // namespace qatime
