// SPDX-License-Identifier: MIT
// One moment to wait for.
#pragma once

#include <functional>
#include <memory>
#include <utility>

#include <boost/asio/io_context.hpp>

#include "base/clock.h"
#include "base/loop.h"

namespace qatime::nfs {

// Rings once, on the loop, and never after it was cancelled, set anew or destroyed. (A bare steady_timer may: its
// handler can already be queued by then.) One thread.
class Alarm {
 public:
  explicit Alarm(boost::asio::io_context& io) : timer_{io} {}

  void set(Clock::Instant when, std::function<void()> ring) {
    current_ = std::make_shared<char>();
    timer_.expires_at(when);
    timer_.async_wait(
        [ring = std::move(ring), current = std::weak_ptr{current_}](const boost::system::error_code& error) {
          if (!error && !current.expired()) ring();
        });
  }

  void cancel() {
    current_.reset();
    timer_.cancel();
  }

 private:
  loop::Timer timer_;
  std::shared_ptr<char> current_;
};

}  // namespace qatime::nfs
