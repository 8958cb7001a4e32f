// SPDX-License-Identifier: MIT
// The keys of the shared backlog, and what their members mean. Every qatime that shares it must agree on these.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/timestamp.h"

namespace qatime::backlog::redis {

// The slot of a Cluster in which `key` is: CRC16 (XMODEM) modulo 16,384 of what stands between its first "{" and the
// next "}", if that is anything, else of all of it (Redis Cluster specification, "Key distribution model").
[[nodiscard]] unsigned slot_of(std::string_view key) noexcept;

// The shard of all that lies in `directory`: FNV-1a over its bytes in 64 bits, both halves folded, modulo `shards`.
[[nodiscard]] unsigned shard_of(std::string_view directory, unsigned shards) noexcept;

struct RedisKey {
  explicit RedisKey(std::string text) : name{std::move(text)}, slot{slot_of(name)} {}
  std::string name;
  unsigned slot;
};

// One hash tag for each shard, and one for what is common, so that each is in one slot of a Cluster.
class Keys {
 public:
  Keys(const std::string& prefix, unsigned shards);

  [[nodiscard]] unsigned shards() const noexcept { return static_cast<unsigned>(pending_.size()); }
  // A sorted set of what waits: members as below, scores as below.
  [[nodiscard]] const RedisKey& pending(unsigned shard) const { return pending_.at(shard); }
  // A string: which instance works on the shard. It expires.
  [[nodiscard]] const RedisKey& lease(unsigned shard) const { return lease_.at(shard); }
  // A sorted set: instances, and until when they are taken for living (the server's clock, milliseconds).
  [[nodiscard]] const RedisKey& instances() const noexcept { return instances_; }
  // A sorted set: addresses of instances, and until when they are known to have been theirs, as scores below.
  [[nodiscard]] const RedisKey& addresses() const noexcept { return addresses_; }
  // A stream of moves and removals; the field "c" has them as codec.h writes them.
  [[nodiscard]] const RedisKey& changes() const noexcept { return changes_; }
  // A hash: by shard, the last of the changes that its members have all been through.
  [[nodiscard]] const RedisKey& swept() const noexcept { return swept_; }

 private:
  std::vector<RedisKey> pending_;
  std::vector<RedisKey> lease_;
  RedisKey instances_;
  RedisKey addresses_;
  RedisKey changes_;
  RedisKey swept_;
};

// A member of a sorted set of what waits: an access under the name that its object had at a moment. As a member, "/a/b"
// is an access of that name at the time that is its score; "1700000000000000001/a/b" is one of the object that had the
// name at that moment (nanoseconds since the epoch), whenever it was accessed: one that a move has renamed.
struct Member {
  std::string_view name;
  std::optional<Time> as_of;
};
[[nodiscard]] std::optional<Member> parse_member(std::string_view text) noexcept;  // nothing if it is none of ours
[[nodiscard]] std::string format_member(std::string_view name, Time as_of);

// Scores are whole microseconds since the epoch: doubles have them exactly up to 2^53, the year 2255. Finer times are
// cut off.
[[nodiscard]] std::int64_t to_score(Time time) noexcept;
[[nodiscard]] Time from_score(std::int64_t score) noexcept;
[[nodiscard]] std::optional<std::int64_t> parse_score(std::string_view text) noexcept;

// The number that `text` begins with, 0 if none: of the id of a stream, its milliseconds by the server's clock.
[[nodiscard]] std::int64_t leading_number(std::string_view text) noexcept;

// When a change came, by the milliseconds of its id.
[[nodiscard]] inline Clock::Instant arrival(std::int64_t milliseconds) noexcept {
  return Clock::Instant{std::chrono::milliseconds{milliseconds}};
}

}  // namespace qatime::backlog::redis
