// SPDX-License-Identifier: MIT
// The members of the shared backlog that this instance has claimed.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "backlog/backlog.h"
#include "base/clock.h"
#include "base/event.h"
#include "base/mutex.h"
#include "base/path.h"
#include "pending/invalidations.h"
#include "pending/pending_table.h"
#include "pending/renames.h"
#include "redis/keys.h"
#include "redis/shared_counters.h"
#include "telemetry/metrics.h"

namespace qatime::backlog::redis {

// Members of the shards on which this instance works: each is offered once, waits here under the name that its object
// has by all changes that are known, is taken by the engine, and is in `settled` with its score when it has its
// outcome. It stays in Redis until then, so nothing is lost with a window.
//
// All changes of names are known to every window; when one comes, what waits is looked at again in its light.
//
// Any thread; nothing waits but for the lock.
class Claims {
 public:
  // Entries at most; an export gets its share.
  static constexpr std::size_t kSize = 1 << 15;

  // `request`: nothing is sent when less of the lease is left. The constructor's arguments outlive it.
  Claims(const Exports& exports, unsigned shards, Clock::Duration request, const Clock& clock, SharedCounters& counters,
         metrics::Registry& registry);
  Claims(const Claims&) = delete;
  Claims& operator=(const Claims&) = delete;

  // --- For the engine: as in Backlog. --------------------------------------------------------------------------------
  [[nodiscard]] Slice take(std::size_t export_index, std::size_t limit);
  [[nodiscard]] Slice take_newest(std::size_t export_index, const Suits& suits);
  void take_more(Slice& slice, std::size_t limit);
  void settle(Ticket ticket);
  void put_back(Ticket ticket, Clock::Instant not_before, Retry retry);
  [[nodiscard]] bool reconsider(Ticket ticket);
  [[nodiscard]] bool is_held(Ticket ticket) const;
  void allow_for(Clock::Duration request);
  [[nodiscard]] bool has_invalidations() const QATIME_UNCHECKED { return invalidations_.has_some(); }
  [[nodiscard]] Invalidations take_invalidations();
  [[nodiscard]] std::optional<Clock::Instant> next_due() const;
  [[nodiscard]] std::size_t in_flight() const;
  [[nodiscard]] std::chrono::seconds oldest() const;

  // --- For the thread of Redis. --------------------------------------------------------------------------------------

  // The shard is ours until `until`.
  void hold(unsigned shard, Clock::Instant until);
  // It is not ours: what waits of it is forgotten, what is in flight ends.
  void give_up(unsigned shard);
  [[nodiscard]] bool is_ours(unsigned shard) const;

  struct FoundMember {
    std::string member;
    std::int64_t score;
  };
  struct Offer {
    std::size_t taken = 0;  // that were new
    std::size_t known = 0;  // that were here already
  };
  // Members of a shard as Redis has them, the oldest first.
  Offer offer(unsigned shard, const std::vector<FoundMember>& found);

  // How many more entries have room, and how many of a shard are here.
  [[nodiscard]] std::size_t room() const;
  [[nodiscard]] std::size_t known(unsigned shard) const;

  // Changes of names as the log has them, which came there at `arrival`. The same change twice is one.
  void learn(const Event& change, Clock::Instant arrival);
  // All changes that the log had at `moment` are known. An object that is not there is not given up while nobody can
  // tell whether a change explains that: its access waits in Redis until the log can be read again.
  void is_current(Clock::Instant moment);

  // Everything that waits in Redis has been through all changes that came up to `arrival`.
  void forget(Clock::Instant arrival);
  [[nodiscard]] std::size_t changes() const;

  // The place of a member after all changes that are known: nothing if nothing has, "" if it is gone, else the member
  // that it is now.
  [[nodiscard]] std::optional<std::string> rename(std::string_view member, std::int64_t score) const;

  // Redis has done so; if `is_gone`, it has one of the new name already, or there is none.
  void renamed(unsigned shard, const std::string& member, std::string_view name, bool is_gone);

  struct Settled {
    unsigned shard;
    std::string member;
    std::int64_t score;
  };
  // Members that have their outcome since the last call; to be removed from Redis, and then finished. `limit` of them
  // at most.
  [[nodiscard]] std::vector<Settled> take_settled(std::size_t limit);
  // Redis has removed it or, if not `is_removed`, has a newer time, which is one more access.
  void finish(const Settled& settled, bool is_removed);
  [[nodiscard]] bool has_settled() const;

  // Whether there is something new to take since the last call.
  [[nodiscard]] bool take_news();

 private:
  // A member is held; or Redis has it, but it is not held any more, or not under this name; or Redis has it no more.
  enum class ClaimState : std::uint8_t { held, released, gone };
  using Members = std::unordered_map<std::string, ClaimState>;
  struct Shard {
    Clock::Instant until = Clock::Instant::min();
    Members members;  // that are here or have not been removed from Redis yet
  };
  struct ClaimedMember {
    unsigned shard;
    const Members::value_type* member;
    std::int64_t score;
  };
  // The members that a path's entry in the table comes from.
  struct Claim {
    std::vector<ClaimedMember> sources;
    std::optional<Time> flight;  // those up to this time are in flight
    std::size_t export_index = 0;
  };
  using Entries = std::map<std::string, Claim, std::less<>>;
  // Has the lock, and enters what has changed at its end.
  class LockedCall;

  void place(const ClaimedMember& source) QATIME_REQUIRES(mutex_);
  void place_again(Entries::iterator entry, std::size_t pending_before) QATIME_REQUIRES(mutex_);
  template <class Change>
  [[nodiscard]] bool is_new(const Change& change) QATIME_REQUIRES(mutex_);
  void look_at(std::string_view path, bool subtree) QATIME_REQUIRES(mutex_);
  void end(const ClaimedMember& source) QATIME_REQUIRES(mutex_);
  void hand_back(const ClaimedMember& source) QATIME_REQUIRES(mutex_);
  [[nodiscard]] bool has_changed(const Entries::value_type& entry) const QATIME_REQUIRES(mutex_);
  [[nodiscard]] std::optional<std::string> path_of(const ClaimedMember& source) const QATIME_REQUIRES(mutex_);
  [[nodiscard]] bool is_ours_now(unsigned shard) const QATIME_REQUIRES(mutex_) {
    return shards_[shard].until > clock_.now();
  }
  void depart(const Slice& slice, std::size_t begin) QATIME_REQUIRES(mutex_);
  void drop_if_spent(Entries::iterator entry) QATIME_REQUIRES(mutex_);

  const Exports& exports_;
  const Clock& clock_;
  SharedCounters& counters_;
  metrics::Gauge& in_flight_gauge_;
  metrics::Counter& repeated_;

  mutable Mutex mutex_;
  Clock::Duration request_ QATIME_GUARDED_BY(mutex_);
  Clock::Instant current_ QATIME_GUARDED_BY(mutex_);  // as of when the changes are known
  PendingTable table_ QATIME_GUARDED_BY(mutex_);
  Entries entries_ QATIME_GUARDED_BY(mutex_);                     // by the path under which they are in the table
  std::vector<std::size_t> by_export_ QATIME_GUARDED_BY(mutex_);  // how many
  std::vector<Shard> shards_ QATIME_GUARDED_BY(mutex_);
  std::vector<Settled> settled_ QATIME_GUARDED_BY(mutex_);
  RenameHistory history_ QATIME_GUARDED_BY(mutex_);
  InvalidationList invalidations_ QATIME_GUARDED_BY(mutex_);
  SharedCounters::Delta delta_ QATIME_GUARDED_BY(mutex_);  // to be entered when the call ends
  std::size_t entered_pending_ QATIME_GUARDED_BY(mutex_) = 0;
};

}  // namespace qatime::backlog::redis
