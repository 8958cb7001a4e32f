// SPDX-License-Identifier: MIT
//
// Latency alone does not tell whether a server is in trouble: one that is busy with nothing but our requests takes in
// proportion to their number. A window that shrinks until latency is low (TCP Vegas, gradients of the round-trip time)
// would leave such a server idle between them. But whoever answers n requests at once at a steady pace has the least
// latency R of a single one and the least service time S = latency / n of a crowd, and never needs more than R + n S
// (asymptotic bounds of a closed queueing network: Lazowska et al., "Quantitative System Performance", 1984, chapter
// 5). So the mean latency of a round is compared with that sum, R and S being the least of the last minutes. A server
// that stays slow is taken for what it is when those are over.
#include "nfs/congestion_window.h"

#include <algorithm>
#include <chrono>
#include <limits>

namespace qatime::nfs {

namespace {

constexpr double kTolerance = 3;  // noise, other clients, cold files
constexpr double kHalf = 0.5;     // of the window is the most that one decrease takes
constexpr std::chrono::milliseconds kRoundTime{100};
constexpr std::size_t kFew = 8;            // updates; fewer say nothing
constexpr std::size_t kMostlyReads = 100;  // reads for an update: a round of so few updates is one of reads
constexpr std::size_t kStepsToMost = 16;   // increases from nothing to the most: 1.6 s
constexpr std::chrono::minutes kEpoch{5};  // what was best is remembered for one to two of them
constexpr double kUnknown = std::numeric_limits<double>::infinity();

}  // namespace

CongestionWindow::CongestionWindow(std::size_t most) noexcept
    : least_{std::min(kLeast, most)},
      most_{most},
      limit_{least_},
      threshold_{most},
      best_{Best{kUnknown, kUnknown}, Best{kUnknown, kUnknown}} {}

void CongestionWindow::set_most(std::size_t most) noexcept {
  threshold_ = threshold_ == most_ ? most : std::min(threshold_, most);
  most_ = most;
  least_ = std::min(kLeast, most);
  limit_ = std::clamp(limit_, least_, most_);
}

void CongestionWindow::restart() noexcept {
  limit_ = least_;
  threshold_ = most_;
  round_ = {};
  overloads_ = {};
  is_closed_ = false;
}

void CongestionWindow::answered(Kind kind, Clock::Instant now) noexcept {
  overloads(kind) = 0;
  if (overloads_[0] == 0 && overloads_[1] == 0) is_closed_ = false;
  next_probe_ = now;
}

void CongestionWindow::succeeded(Kind kind, Clock::Instant started, Clock::Instant now,
                                 std::size_t in_flight) noexcept {
  if (started < decreased_ || is_closed_) return;
  if (round_.peak == 0) round_.begin = now;
  round_.peak = std::max(round_.peak, in_flight);
  if (kind == Kind::update) {
    measure(std::chrono::duration<double>{now - started}.count(), in_flight);
  } else {
    ++round_.reads;
  }
  if (limit_ < threshold_ && 2 * round_.peak >= limit_) ++limit_;
  const bool is_telling = round_.sum.updates >= kFew || round_.reads >= kMostlyReads * round_.sum.updates;
  if (now - round_.begin >= kRoundTime && is_telling) close_round(now);
}

void CongestionWindow::overloaded(Kind kind, Clock::Instant started, Clock::Instant now) noexcept {
  if (started < decreased_) return;
  decrease(kHalf, now);
  if (++overloads(kind) >= kOverloads) close(now);
}

void CongestionWindow::close(Clock::Instant now) noexcept {
  pause_ = is_closed_ ? std::min<Clock::Duration>(2 * pause_, kLastPause) : kFirstPause;
  is_closed_ = true;
  next_probe_ = now + pause_;
}

void CongestionWindow::close_round(Clock::Instant now) noexcept {
  const double slower = round_.sum.updates >= kFew ? slowness(now) : 1;
  const bool was_used = 2 * round_.peak >= limit_;
  if (slower > kTolerance) return decrease(std::max(kHalf, kTolerance / slower), now);
  if (was_used && limit_ >= threshold_) {
    limit_ = std::min(most_, limit_ + std::max<std::size_t>(most_ / kStepsToMost, 1));
  }
  round_ = {};
}

void CongestionWindow::measure(double latency, std::size_t in_flight) noexcept {
  for (Sum* sum : {&round_.sum, &round_.few}) {
    ++sum->updates;
    sum->latency += latency;
    sum->in_flight += static_cast<double>(in_flight);
  }
  if (round_.few.updates < kFew) return;
  best_[0].latency = std::min(best_[0].latency, round_.few.latency / kFew);
  round_.few = {};
}

double CongestionWindow::slowness(Clock::Instant now) noexcept {
  if (now - epoch_ >= kEpoch) {
    best_ = {Best{kUnknown, kUnknown}, best_[0]};
    epoch_ = now;
  }
  const double latency = round_.sum.latency / static_cast<double>(round_.sum.updates);
  const double in_flight = round_.sum.in_flight / static_cast<double>(round_.sum.updates);
  best_[0].latency = std::min(best_[0].latency, latency);
  best_[0].service = std::min(best_[0].service, latency / in_flight);
  return latency /
         (std::min(best_[0].latency, best_[1].latency) + in_flight * std::min(best_[0].service, best_[1].service));
}

void CongestionWindow::decrease(double factor, Clock::Instant now) noexcept {
  limit_ = std::max(least_, static_cast<std::size_t>(static_cast<double>(limit_) * factor));
  threshold_ = limit_;
  decreased_ = now;
  round_ = {};
}

}  // namespace qatime::nfs
