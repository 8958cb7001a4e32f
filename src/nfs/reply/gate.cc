// SPDX-License-Identifier: MIT
//
// Most records come whole, as one fragment, with others in the same read: they are checked where they are and no byte
// is moved. Fragments are joined where they are, too, so libnfs never joins any. A record
// that has come in part waits here, so libnfs sees no reply that is cut in the middle.
//
// No version of libnfs bounds a reply well: 4 and 5 take fragments of 1 MiB without end, 6.0 takes one of 4 MiB, 7.0
// takes 8 MiB in all. So a record is refused when a mark says that it will be larger than what was asked for can
// explain.
#include "nfs/reply/gate.h"

#include <algorithm>
#include <cassert>
#include <cstring>

#include <fmt/core.h>
#include <netinet/in.h>

namespace qatime::nfs {

namespace {

constexpr std::size_t kSize = 64 << 10;      // of the buffer, bytes: all replies in flight, but for READDIRPLUS
constexpr std::size_t kLeastRead = 8 << 10;  // bytes
constexpr std::uint32_t kLast = 0x80000000;  // in a mark: of the record's fragments
constexpr std::size_t kMark = sizeof(std::uint32_t);
constexpr std::size_t kXid = sizeof(std::uint32_t);
// Bytes that a smaller fragment counts, so that there is an end to tiny ones.
constexpr std::size_t kLeastFragment = 1 << 10;

std::uint32_t word_at(const char* bytes) noexcept {
  std::uint32_t word = 0;
  std::memcpy(&word, bytes, sizeof word);
  return ntohl(word);
}

}  // namespace

std::span<char> ReplyGate::room() {
  assert(!has_unread() && refusal_.empty());
  const std::size_t record = joined_ - passed_;
  const std::size_t rest = end_ - read_;
  const std::size_t needed = std::max(kSize, record + rest + std::max(fragment_, kLeastRead));
  auto* const old = buffer_.get();
  std::unique_ptr<char[]> larger;  // NOLINT(modernize-avoid-c-arrays)
  // One that a large record needed goes with it.
  if (needed > capacity_ || (needed == kSize && capacity_ > kSize)) {
    larger = std::make_unique_for_overwrite<char[]>(needed);  // NOLINT(modernize-avoid-c-arrays)
    capacity_ = needed;
  }
  auto* const to = larger != nullptr ? larger.get() : old;
  if (record > 0) std::memmove(to, old + passed_, record);
  if (rest > 0) std::memmove(to + record, old + read_, rest);
  if (larger != nullptr) buffer_ = std::move(larger);
  next_ = passed_ = 0;
  joined_ = read_ = record;
  end_ = record + rest;
  return {buffer_.get() + end_, capacity_ - end_};
}

void ReplyGate::came(std::size_t size) {
  end_ += size;
  for (;;) {
    if (fragment_ == 0 && !begin_fragment()) return;
    move_fragment();
    if (fragment_ > 0) return;
    if (is_last_) end_record();
    if (!refusal_.empty()) return;
  }
}

// Whether there is one. The xid behind the first mark tells whose reply it is that is too long.
bool ReplyGate::begin_fragment() {
  const bool is_first = joined_ == passed_;
  if (end_ - read_ < (is_first ? kMark + kXid : kMark)) return false;
  const std::uint32_t mark = word_at(buffer_.get() + read_);
  fragment_ = mark & ~kLast;
  is_last_ = (mark & kLast) != 0;
  announced_ += std::max(fragment_, kLeastFragment);
  if (announced_ > limit_) {
    refusal_ = fmt::format("dropped: its reply grew beyond {} bytes, which no sound NFS server sends", limit_);
    const auto call = calls_.take(word_at(buffer_.get() + kMark + (is_first ? read_ : passed_)));
    if (call) refused_call_ = call->number;
    return false;
  }
  if (is_first && fragment_ < kXid) {
    refusal_ = "dropped: its reply begins with a fragment that holds no xid";
    return false;
  }
  read_ += kMark;
  if (is_first) joined_ += kMark;
  return true;
}

// To the end of what there is of its record.
void ReplyGate::move_fragment() noexcept {
  const std::size_t size = std::min(fragment_, end_ - read_);
  if (joined_ != read_) std::memmove(buffer_.get() + joined_, buffer_.get() + read_, size);
  joined_ += size;
  read_ += size;
  fragment_ -= size;
}

void ReplyGate::end_record() {
  announced_ = 0;
  const std::string_view message{buffer_.get() + passed_ + kMark, joined_ - passed_ - kMark};
  const std::uint32_t mark = htonl(kLast | static_cast<std::uint32_t>(message.size()));
  std::memcpy(buffer_.get() + passed_, &mark, sizeof mark);
  const auto call = calls_.take(word_at(buffer_.get() + passed_ + kMark));
  if (!call) {
    refusal_ = "dropped: its reply answers no call that waits for one";
    return;
  }
  if (const char* const fault = find_fault(call->procedure, message)) {
    refused_call_ = call->number;
    refusal_ = fmt::format("dropped: its reply to {} {}", name(call->procedure), fault);
    return;
  }
  passed_ = joined_;
}

std::size_t ReplyGate::take(void* bytes, std::size_t size) noexcept {
  const std::size_t taken = std::min(size, passed_ - next_);
  std::memcpy(bytes, buffer_.get() + next_, taken);
  next_ += taken;
  return taken;
}

}  // namespace qatime::nfs
