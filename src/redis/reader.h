// SPDX-License-Identifier: MIT
// The reader of pending members, from Redis into the claims.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include "base/thread_checker.h"
#include "redis/claims.h"
#include "redis/keys.h"
#include "redis/servers.h"

namespace qatime::backlog::redis {

// Fills the window with what waits in our shards. A shard is read by rank, the oldest first. Pages are read before the
// log of changes is read to its end, and offered afterwards: so what was renamed before a page was read is known by its
// new name.
//
// On the thread of Redis. All of it may throw Unavailable.
class Reader {
 public:
  // The constructor's arguments outlive it.
  Reader(const Keys& keys, Servers& servers, Claims& claims);

  // Reads a page of each shard of which there may be more. Returns whether something was found.
  [[nodiscard]] bool fill();

  // Nothing known of a shard, or of all, counts any more.
  void begin_anew(unsigned shard) { scans_.at(shard) = {}; }
  void begin_anew() { scans_.assign(scans_.size(), {}); }

 private:
  using Instant = std::chrono::steady_clock::time_point;

  // How far a shard has been read. Those that are known are the oldest, mostly: then what is behind them is new, and if
  // nothing is there, nothing is new at all. Else all of it is read.
  struct Scan {
    bool is_whole = true;
    std::size_t cursor = 0;  // how many have been read
    bool is_useful = false;
    Instant next{};
    std::chrono::milliseconds rest{};
  };
  struct ShardPage {
    unsigned shard;
    std::size_t limit;
    std::vector<Claims::FoundMember> found;
  };

  [[nodiscard]] std::vector<ShardPage> read_pages(Instant now);
  void read_changes();
  void read_on(ShardPage& page);

  ThreadChecker thread_;
  const Keys& keys_;
  Servers& servers_;
  Claims& claims_;
  std::vector<Scan> scans_;
  std::string last_change_ = "0";
};

}  // namespace qatime::backlog::redis
