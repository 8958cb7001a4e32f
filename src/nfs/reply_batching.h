// SPDX-License-Identifier: MIT
// A delay of reads, so that replies come by many instead of one by one.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <memory>
#include <thread>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include "base/clock.h"

namespace qatime::nfs {

// A busy server answers one by one. Waking for each reply to send one request costs more than the rest of an update.
// (Measured with nfs-ganesha on the same machine: 11 us of CPU instead of 6, and 2 to 20 % of the updates.) So the
// thread sleeps before it reads. By Little's law an eighth of the latency answers an eighth of the requests in flight.
// The server has enough to do meanwhile. But on a long way little waits there, and each moment of sleep would be lost.
//
// One object serves all connections of a loop, because replies of all of them gather while it sleeps. One thread.
class ReplyBatching {
 public:
  explicit ReplyBatching(boost::asio::io_context& io) : io_{io} {}

  // Returns how long to sleep. `in_flight` requests wait for a reply, recent replies took `latency`, the quickest one
  // `least`, and `together` replies came in the last turn.
  [[nodiscard]] static Clock::Duration due(std::size_t in_flight, Clock::Duration latency, Clock::Duration least,
                                           std::size_t together) noexcept {
    if (in_flight < kMany || 2 * together >= in_flight || latency / 2 < least) return {};
    const auto rest = std::min<Clock::Duration>(latency / kShare, kLongest);
    return rest < kShortest ? Clock::Duration{} : rest;
  }

  // Sleeps, at most once in a turn of the loop. Returns whether it did.
  bool sleep(Clock::Duration duration) {
    if (duration == duration.zero() || *has_slept_) return false;
    std::this_thread::sleep_for(duration);
    *has_slept_ = true;
    boost::asio::post(io_, [has_slept = has_slept_] { *has_slept = false; });
    return true;
  }

 private:
  static constexpr std::size_t kMany = 24;
  static constexpr int kShare = 8;
  static constexpr std::chrono::microseconds kShortest{100};  // the kernel adds 50 (PR_SET_TIMERSLACK)
  static constexpr std::chrono::microseconds kLongest{500};   // a distant server loses little by it

  boost::asio::io_context& io_;
  std::shared_ptr<bool> has_slept_ = std::make_shared<bool>(false);  // in this turn of the loop
};

}  // namespace qatime::nfs
