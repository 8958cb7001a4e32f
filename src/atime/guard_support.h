// SPDX-License-Identifier: MIT
// The knowledge whether a server can do guarded SETATTRs (sattrguard3, RFC 1813 section 3.3.2), and how well.
#pragma once

#include <chrono>
#include <cstdint>

#include "base/clock.h"

namespace qatime::atime {

// The state of one export. Call doubted() when a SETATTR succeeds only without a guard, or returns NOT_SYNC although
// ctime has not changed. After kDoubts such calls without honoured() between, guards are not usable for kPause.
//
// A guard is exact if the server compares all of ctime. Some compare whole seconds (Linux 6.1, unfs3), so that their
// guard misses a change within the second. It counts as exact only once that is proven.
class GuardSupport {
 public:
  static constexpr std::chrono::minutes kPause{5};

  [[nodiscard]] bool usable(Clock::Instant now) const noexcept { return doubts_ < kDoubts || now >= again_; }

  void honoured() noexcept { doubts_ = 0; }

  // Returns true if this doubt is the one that made guards unusable.
  [[nodiscard]] bool doubted(Clock::Instant now) noexcept {
    if (doubts_ < kDoubts) ++doubts_;
    if (doubts_ < kDoubts) return false;
    const bool is_news = again_ == Clock::Instant{};
    again_ = now + kPause;
    return is_news;
  }

  [[nodiscard]] bool is_exact(Clock::Instant now) const noexcept {
    return knowledge_ == Knowledge::exact && usable(now);
  }

  [[nodiscard]] bool is_coarse() const noexcept { return knowledge_ == Knowledge::coarse; }

  // Returns whether the caller is to find out if guards are exact. Then it calls proven() or not_proven() once.
  [[nodiscard]] bool take_proof() noexcept {
    if (knowledge_ != Knowledge::none) return false;
    knowledge_ = Knowledge::on_its_way;
    return true;
  }
  void proven(bool is_exact) noexcept { knowledge_ = is_exact ? Knowledge::exact : Knowledge::coarse; }
  void not_proven() noexcept { knowledge_ = Knowledge::none; }

 private:
  enum class Knowledge : std::uint8_t { none, on_its_way, exact, coarse };

  static constexpr unsigned kDoubts = 3;
  unsigned doubts_ = 0;
  Clock::Instant again_{};  // when guards are tried again; the beginning: they were always usable
  Knowledge knowledge_ = Knowledge::none;
};

}  // namespace qatime::atime
