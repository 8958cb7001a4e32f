// SPDX-License-Identifier: MIT
// Work that waits until a loop's handler has done all of its own.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

namespace qatime {

// Work that is added inside of turn() is done at its end, in order, and what that adds behind it. Other work is posted.
// So handlers that start work for many save a round of the loop for each step, and each step is done for all at once.
//
// Owned by shared pointers, because work may destroy its owner, who then calls forget(). Thread: the loop's.
class Deferred : public std::enable_shared_from_this<Deferred> {
 public:
  explicit Deferred(boost::asio::io_context& io) : io_{io} {}

  void add(std::function<void()> work) {
    work_.push_back(std::move(work));
    if (is_in_turn_ || work_.size() > 1) return;
    boost::asio::post(io_, [weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->turn([] {});
    });
  }

  // Calls `handler`, and then does what it has added. One inside another is part of it.
  template <class Handler>
  void turn(const Handler& handler) {
    if (is_in_turn_) return handler();
    is_in_turn_ = true;
    handler();
    while (!work_.empty()) {
      const auto work = std::move(work_.front());
      work_.pop_front();
      work();
    }
    is_in_turn_ = false;
  }

  // Drops all work.
  void forget() noexcept { work_.clear(); }

 private:
  boost::asio::io_context& io_;
  std::deque<std::function<void()>> work_;
  bool is_in_turn_ = false;
};

}  // namespace qatime
