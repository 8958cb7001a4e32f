// SPDX-License-Identifier: MIT
// The knowledge whether a server can do guarded SETATTRs (sattrguard3, RFC 1813 section 3.3.2).
#pragma once

namespace qatime::apply {

// One export's. A guard is in doubt when a SETATTR succeeds only without it, or is NOT_SYNC although ctime has not
// changed; several doubts without an honoured guard between settle it.
class GuardSupport {
 public:
  [[nodiscard]] bool usable() const noexcept { return doubts_ < kDoubts; }

  void honoured() noexcept {
    if (usable()) doubts_ = 0;
  }

  // True if this doubt was the one that settles it.
  [[nodiscard]] bool doubted() noexcept { return usable() && ++doubts_ == kDoubts; }

 private:
  static constexpr unsigned kDoubts = 3;
  unsigned doubts_ = 0;
};

}  // namespace qatime::apply
