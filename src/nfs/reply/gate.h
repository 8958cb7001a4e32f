// SPDX-License-Identifier: MIT
// Replies on their way from a connection to libnfs: whole, bounded and sound.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "nfs/reply/awaited_calls.h"

namespace qatime::nfs {

// Takes the bytes of a connection and lets records through (RFC 5531 section 11), each as one fragment, when all of it
// has come and find_fault() has none.
//
// Failure: the first record that is not let through is the last: refusal() says why, and nothing more is taken.
//
// Bounds: a record of set_limit() at most, and as many bytes behind it as one read has. One thread.
class ReplyGate {
 public:
  static constexpr std::size_t kSmallRecord = 64 << 10;  // bytes: more than any reply but a page has
  static constexpr std::uint64_t kNoCall = UINT64_MAX;

  // The calls that replies may answer.
  [[nodiscard]] AwaitedCalls& calls() noexcept { return calls_; }
  // Sets the largest record that may come from now on, in bytes.
  void set_limit(std::size_t bytes) noexcept { limit_ = bytes; }

  // Where the next bytes of the connection go; never empty. Precondition: has_unread() is false, refusal() is empty.
  [[nodiscard]] std::span<char> room();
  // So many have come there.
  void came(std::size_t size);

  // Whether something was let through that was not taken yet.
  [[nodiscard]] bool has_unread() const noexcept { return next_ < passed_; }
  // Moves as much of it as fits to `bytes`. Returns how much that is.
  std::size_t take(void* bytes, std::size_t size) noexcept;

  // Why a record was refused; empty if none was.
  [[nodiscard]] const std::string& refusal() const noexcept { return refusal_; }
  // The number of the call that the refused record answers; kNoCall if there is none.
  [[nodiscard]] std::uint64_t refused_call() const noexcept { return refused_call_; }

 private:
  [[nodiscard]] bool begin_fragment();
  void move_fragment() noexcept;
  void end_record();

  AwaitedCalls calls_;
  std::unique_ptr<char[]> buffer_;  // NOLINT(modernize-avoid-c-arrays)
  std::size_t capacity_ = 0;
  // Positions in the buffer, in this order.
  std::size_t next_ = 0;    // the next byte to take
  std::size_t passed_ = 0;  // behind what was let through; here the record begins that is coming
  std::size_t joined_ = 0;  // behind what that one has so far
  std::size_t read_ = 0;    // the next byte to look at
  std::size_t end_ = 0;     // behind what has come

  std::size_t limit_ = kSmallRecord;
  std::size_t announced_ = 0;  // bytes of the record, by its marks so far
  std::size_t fragment_ = 0;   // bytes of the fragment still to come
  bool is_last_ = false;       // it is the record's last one
  std::string refusal_;
  std::uint64_t refused_call_ = kNoCall;
};

}  // namespace qatime::nfs
