// SPDX-License-Identifier: MIT
// The limit on requests in flight to one server, by additive increase and multiplicative decrease.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>

#include "base/clock.h"

namespace qatime::nfs {

// The limit falls while the server is slower than it was, and then grows again. Increase is additive and decrease
// multiplicative, with the slow start of TCP (V. Jacobson, "Congestion Avoidance and Control", 1988).
// congestion_window.cc defines "slower".
//
// A window that meets nothing but overload closes, like that of TCP's persist timer (RFC 9293 section 3.8.6.1): one
// request at a time, with pauses, until one of the kind that was put off succeeds.
//
// The owner reports each request at its end. Requests that started before the last decrease are ignored, because they
// say nothing new. Pure policy: time is an argument.
class CongestionWindow {
 public:
  static constexpr std::size_t kLeast = 4;                      // or `most`, if that is less
  static constexpr unsigned kOverloads = 16;                    // in a row, of one kind, close the window
  static constexpr std::chrono::milliseconds kFirstPause{250};  // of a closed window; doubles with each probe in vain
  static constexpr std::chrono::milliseconds kLastPause{2000};  // up to this

  // `most`: nfs.max_in_flight, at least 1.
  explicit CongestionWindow(std::size_t most) noexcept;

  // Returns how many requests may be in flight.
  [[nodiscard]] std::size_t limit() const noexcept { return is_closed_ ? 1 : limit_; }
  [[nodiscard]] bool is_closed() const noexcept { return is_closed_; }
  // Returns whether the next request has to wait, because the window is closed.
  [[nodiscard]] bool pauses(Clock::Instant now) const noexcept { return is_closed_ && now < next_probe_; }

  // Sets another bound, and keeps what was learned of the server.
  void set_most(std::size_t most) noexcept;

  enum class Kind { read, update };  // an update is a SETATTR; latencies of one kind compare
  // Reports a request that was answered in time and not put off.
  void answered(Kind kind, Clock::Instant now) noexcept;
  // Reports the latency of a success that was answered. `in_flight` requests were in flight when it was started, itself
  // included.
  void succeeded(Kind kind, Clock::Instant started, Clock::Instant now, std::size_t in_flight) noexcept;
  // Reports a request that timed out or was put off (JUKEBOX).
  void overloaded(Kind kind, Clock::Instant started, Clock::Instant now) noexcept;
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
  void close(Clock::Instant now) noexcept;
  [[nodiscard]] unsigned& overloads(Kind kind) noexcept { return overloads_[kind == Kind::update ? 1 : 0]; }

  std::size_t least_;
  std::size_t most_;
  std::size_t limit_;
  std::size_t threshold_;  // where slow start ends
  Clock::Instant decreased_{};
  Round round_;
  std::array<Best, 2> best_;  // of this epoch and of the one before
  Clock::Instant epoch_{};
  std::array<unsigned, 2> overloads_{};  // since the last success, by kind
  bool is_closed_ = false;
  Clock::Duration pause_{};
  Clock::Instant next_probe_{};
};

}  // namespace qatime::nfs
