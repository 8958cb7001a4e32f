// SPDX-License-Identifier: MIT
// One moment to wait for.
#pragma once

#include <cassert>
#include <functional>
#include <memory>
#include <utility>

#include <boost/asio/io_context.hpp>

#include "base/clock.h"
#include "base/loop.h"
#include "base/thread_checker.h"

namespace qatime::nfs {

// Rings once, on the loop, and never after it was cancelled, set again or destroyed. (A bare steady_timer might,
// because its handler can already be queued by then.) Thread: the loop's. To set it on another thread before the loop
// runs, call detach() afterwards.
class Alarm {
 public:
  explicit Alarm(boost::asio::io_context& io) : timer_{io} {}

  void set(Clock::Instant when, std::function<void()> ring) {
    assert(thread_.is_current());
    current_ = std::make_shared<char>();
    timer_.expires_at(when);
    timer_.async_wait(
        [ring = std::move(ring), current = std::weak_ptr{current_}](const boost::system::error_code& error) {
          if (!error && !current.expired()) ring();
        });
  }

  void cancel() {
    assert(thread_.is_current());
    current_.reset();
    timer_.cancel();
  }

  // Makes the next thread that calls the owner.
  void detach() noexcept { thread_.detach(); }

 private:
  ThreadChecker thread_;
  loop::Timer timer_;
  std::shared_ptr<char> current_;
};

}  // namespace qatime::nfs
