// SPDX-License-Identifier: MIT
// The limit on requests in flight to one server, by additive increase and multiplicative decrease.
#pragma once

#include <array>
#include <cstddef>

#include "base/clock.h"

namespace qatime::nfs {

// The limit falls while the server is slower than it was, and then grows again. Increase is additive and decrease
// multiplicative, with the slow start of TCP (V. Jacobson, "Congestion Avoidance and Control", 1988).
// congestion_window.cc defines "slower".
//
// The owner reports each request at its end. Requests that started before the last decrease are ignored, because they
// say nothing new. Pure policy: time is an argument.
class CongestionWindow {
 public:
  static constexpr std::size_t kLeast = 4;  // or `most`, if that is less

  // `most`: nfs.max_in_flight, at least 1.
  explicit CongestionWindow(std::size_t most) noexcept;

  [[nodiscard]] std::size_t limit() const noexcept { return limit_; }

  // Sets another bound, and keeps what was learned of the server.
  void set_most(std::size_t most) noexcept;

  enum class Kind { read, update };  // an update is a SETATTR; latencies of one kind compare
  // Reports a success. `in_flight` requests were in flight when it was started, itself included.
  void succeeded(Kind kind, Clock::Instant started, Clock::Instant now, std::size_t in_flight) noexcept;
  // Reports a request that timed out or was put off (JUKEBOX).
  void overloaded(Clock::Instant started, Clock::Instant now) noexcept;
  // Begins again from the least, because the server is back after an outage.
  void restart() noexcept;

 private:
  // Updates that ended one after the other.
  struct Sum {
    std::size_t updates = 0;
    double latency = 0;  // seconds
    double in_flight = 0;
  };
  struct Round {
    Clock::Instant begin{};
    std::size_t peak = 0;  // in flight, of both kinds
    std::size_t reads = 0;
    Sum sum;
    Sum few;  // its last ones
  };
  // The least means, in seconds.
  struct Best {
    double latency;  // of a few
    double service;  // latency by requests in flight, of a round
  };

  void measure(double latency, std::size_t in_flight) noexcept;
  void close_round(Clock::Instant now) noexcept;
  // The factor by which the server was slower in this round than at its best.
  [[nodiscard]] double slowness(Clock::Instant now) noexcept;
  void decrease(double factor, Clock::Instant now) noexcept;

  std::size_t least_;
  std::size_t most_;
  std::size_t limit_;
  std::size_t threshold_;  // where slow start ends
  Clock::Instant decreased_{};
  Round round_;
  std::array<Best, 2> best_;  // of this epoch and of the one before
  Clock::Instant epoch_{};
};

}  // namespace qatime::nfs
