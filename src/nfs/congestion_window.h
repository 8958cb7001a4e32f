// SPDX-License-Identifier: MIT
// The limit on requests in flight to one server, by additive increase and multiplicative decrease.
#pragma once

#include <array>
#include <cstddef>

#include "base/clock.h"

namespace qatime::nfs {

// Falls while the server is slower than it was, and grows again: additive increase, multiplicative decrease, with the
// slow start of TCP (V. Jacobson, "Congestion Avoidance and Control", 1988). congestion_window.cc says what "slower"
// means.
//
// Requests are told of as they end. Those that were started before the last decrease say nothing new and are passed
// over. Pure policy: time is an argument.
class CongestionWindow {
 public:
  static constexpr std::size_t kLeast = 4;  // or `most`, if that is less

  // `most`: nfs.max_in_flight, at least 1.
  explicit CongestionWindow(std::size_t most) noexcept;

  [[nodiscard]] std::size_t limit() const noexcept { return limit_; }

  // Another bound, from now on: what was learned of the server holds.
  void set_most(std::size_t most) noexcept;

  enum class Kind { read, update };  // an update is a SETATTR: all of one kind, so that their latencies compare
  // A request succeeded; `in_flight` were on their way to the server when it was started, itself among them.
  void succeeded(Kind kind, Clock::Instant started, Clock::Instant now, std::size_t in_flight) noexcept;
  // A request timed out, or was put off (JUKEBOX).
  void overloaded(Clock::Instant started, Clock::Instant now) noexcept;
  // The server is back after an outage: from the least on.
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
    std::size_t peak = 0;  // in flight, whatever the kind
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
  // How much slower than at its best the server was in this round.
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
