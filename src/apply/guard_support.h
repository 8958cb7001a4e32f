// SPDX-License-Identifier: MIT
// The knowledge whether a server can do guarded SETATTRs (sattrguard3, RFC 1813 section 3.3.2).
#pragma once

namespace qatime::apply {

// The state of one export. Call doubted() when a SETATTR succeeds only without a guard, or returns NOT_SYNC although
// ctime has not changed. After kDoubts such calls without honoured() between, guards are not usable any more.
class GuardSupport {
 public:
  [[nodiscard]] bool usable() const noexcept { return doubts_ < kDoubts; }

  void honoured() noexcept {
    if (usable()) doubts_ = 0;
  }

  // Returns true if this doubt made guards unusable.
  [[nodiscard]] bool doubted() noexcept { return usable() && ++doubts_ == kDoubts; }

 private:
  static constexpr unsigned kDoubts = 3;
  unsigned doubts_ = 0;
};

}  // namespace qatime::apply
