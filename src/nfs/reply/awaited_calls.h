// SPDX-License-Identifier: MIT
// The calls of a connection that wait for their replies.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "nfs/reply/checker.h"

namespace qatime::nfs {

// Finds calls by their xids (RFC 5531 section 9). One thread.
class AwaitedCalls {
 public:
  static constexpr std::size_t kMost = 512;  // beyond it a call is forgotten: its reply belongs to none

  struct AwaitedCall {
    std::uint64_t number;  // from 0, in the order in which they were added
    RemoteProcedure procedure;
  };

  AwaitedCalls() { heads_.fill(kNone); }

  void add(std::uint32_t xid, RemoteProcedure procedure) {
    const std::uint64_t number = added_++;
    if (free_ == kNone && slots_.size() == kMost) return;
    if (free_ == kNone) {
      free_ = static_cast<std::uint16_t>(slots_.size());
      slots_.emplace_back();
    }
    const std::uint16_t index = free_;
    free_ = slots_[index].next;
    std::uint16_t& head = heads_[xid % kHeads];
    slots_[index] = {{number, procedure}, xid, head};
    head = index;
  }

  // Removes the call and returns it; nothing if there is none.
  [[nodiscard]] std::optional<AwaitedCall> take(std::uint32_t xid) noexcept {
    for (std::uint16_t* at = &heads_[xid % kHeads]; *at != kNone; at = &slots_[*at].next) {
      if (slots_[*at].xid != xid) continue;
      const std::uint16_t index = *at;
      *at = slots_[index].next;
      slots_[index].next = free_;
      free_ = index;
      return slots_[index].call;
    }
    return std::nullopt;
  }

 private:
  static constexpr std::uint16_t kNone = 0xffff;
  static constexpr std::size_t kHeads = kMost;  // libnfs numbers calls one by one, so chains are short

  struct AwaitedSlot {
    AwaitedCall call{};
    std::uint32_t xid = 0;
    std::uint16_t next = kNone;  // of the same chain, or free
  };

  std::array<std::uint16_t, kHeads> heads_{};
  std::vector<AwaitedSlot> slots_;
  std::uint16_t free_ = kNone;
  std::uint64_t added_ = 0;
};

}  // namespace qatime::nfs
