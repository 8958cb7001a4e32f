// SPDX-License-Identifier: MIT
//
// Members of Redis keep the name under which they came; which object that is now, is asked of the changes each time
// that the answer may have changed: when a member is offered, when a change comes, and when the object was not there.
// So the order in which changes and accesses come does not matter, and no member has to be moved in Redis because of a
// move; a sweep (sweeper.cc) does it some time, so that changes can be forgotten.
//
// Several members may lead to one path: a file that was renamed, and is accessed under its new name as well. They are
// one entry of the table, with the newest time.
#include "redis/claims.h"

#include <algorithm>
#include <cassert>

namespace qatime::backlog::redis {
namespace {

// How much longer a change is remembered than the sweeps need it, and how much of them at most.
constexpr HistoryLimits kChanges{std::chrono::seconds{60}, std::size_t{64} << 20, 0};
constexpr HistoryLimits kNoEarlierTimes{Clock::Duration::zero(), 64, 0};
constexpr std::chrono::seconds kStale{1};

}  // namespace

class QATIME_SCOPED Claims::LockedCall {
 public:
  explicit LockedCall(Claims& claims) QATIME_ACQUIRE(claims.mutex_) : claims_{claims}, lock_{claims.mutex_} {}
  LockedCall(const LockedCall&) = delete;
  LockedCall& operator=(const LockedCall&) = delete;
  ~LockedCall() QATIME_RELEASE() {
    claims_.mutex_.assert_held();  // by lock_, which is destroyed after this
    const std::size_t pending = claims_.table_.pending();
    claims_.delta_.outgoing = static_cast<std::int64_t>(pending) - static_cast<std::int64_t>(claims_.entered_pending_);
    claims_.entered_pending_ = pending;
    claims_.counters_.add(std::exchange(claims_.delta_, {}));
    claims_.in_flight_gauge_.set(static_cast<std::int64_t>(claims_.table_.in_flight()));
  }

 private:
  Claims& claims_;
  MutexLock lock_;
};

Claims::Claims(const Exports& exports, unsigned shards, Clock::Duration request, const Clock& clock,
               SharedCounters& counters, metrics::Registry& registry)
    : exports_{exports},
      clock_{clock},
      counters_{counters},
      in_flight_gauge_{registry.gauge("qatime_in_flight", "Paths that are being worked on")},
      repeated_{registry.counter("qatime_repeated_changes_total",
                                 "Moves and removals that the log in Redis had before, and were not learned again")},
      request_{request},
      current_{clock.now()},
      table_{exports, clock.now(), kNoEarlierTimes},
      by_export_(exports.size()),
      shards_(shards),
      history_{kChanges} {}

// --- For the engine --------------------------------------------------------------------------------------------------

Slice Claims::take(std::size_t export_index, std::size_t limit) {
  const LockedCall call{*this};
  table_.advance(clock_.now());
  Slice slice = table_.take(export_index, limit, 0);
  depart(slice, 0);
  return slice;
}

Slice Claims::take_newest(std::size_t export_index, const Suits& suits) {
  const LockedCall call{*this};
  table_.advance(clock_.now());
  Slice slice = table_.take_newest(export_index, suits, 0);
  depart(slice, 0);
  return slice;
}

void Claims::take_more(Slice& slice, std::size_t limit) {
  const LockedCall call{*this};
  const std::size_t begin = slice.entries.size();
  table_.take_more(slice, limit, 0);
  depart(slice, begin);
}

void Claims::depart(const Slice& slice, std::size_t begin) {
  for (std::size_t i = begin; i < slice.entries.size(); ++i) {
    entries_.at(join(slice.directory, slice.entries[i].name)).flight = slice.entries[i].time;
  }
}

void Claims::settle(Ticket ticket) {
  const LockedCall call{*this};
  const auto flight = table_.flight(ticket);
  assert(flight);
  const auto entry = entries_.find(flight->path);
  std::erase_if(entry->second.sources, [&](const ClaimedMember& source) QATIME_REQUIRES(mutex_) {
    const bool has_outcome = from_score(source.score) <= flight->time;
    if (has_outcome) end(source);
    return has_outcome;
  });
  entry->second.flight.reset();
  table_.settle(ticket);
  drop_if_spent(entry);
}

void Claims::put_back(Ticket ticket, Clock::Instant not_before, Retry retry) {
  const LockedCall call{*this};
  const auto flight = table_.flight(ticket);
  assert(flight);
  const std::size_t pending = table_.pending();
  const auto entry = entries_.find(flight->path);
  entry->second.flight.reset();
  if (has_changed(*entry)) {
    table_.settle(ticket);
    place_again(entry, pending);
  } else if (table_.put_back(ticket, not_before, retry)) {
    ++delta_.coalesced;
  }
}

bool Claims::reconsider(Ticket ticket) {
  const LockedCall call{*this};
  const auto flight = table_.flight(ticket);
  assert(flight);
  const auto entry = entries_.find(flight->path);
  const bool is_stale = clock_.now() - current_ > kStale;
  if (!is_stale && !has_changed(*entry)) return false;
  if (is_stale) {
    for (const ClaimedMember& source : entry->second.sources) {
      shards_[source.shard].members.at(source.member->first) = ClaimState::released;
    }
  }
  const std::size_t pending = table_.pending();
  entry->second.flight.reset();
  table_.settle(ticket);
  place_again(entry, pending);
  return true;
}

bool Claims::is_held(Ticket ticket) const {
  const MutexLock lock{mutex_};
  const auto flight = table_.flight(ticket);
  if (!flight) return true;
  const auto latest = clock_.now() + request_;
  return std::ranges::all_of(entries_.find(flight->path)->second.sources,
                             [&](const ClaimedMember& source)
                                 QATIME_REQUIRES(mutex_) { return shards_[source.shard].until > latest; });
}

void Claims::allow_for(Clock::Duration request) {
  const MutexLock lock{mutex_};
  request_ = request;
}

Invalidations Claims::take_invalidations() {
  const MutexLock lock{mutex_};
  return invalidations_.take();
}

std::optional<Clock::Instant> Claims::next_due() const {
  const MutexLock lock{mutex_};
  return table_.next_due();
}

std::size_t Claims::in_flight() const {
  const MutexLock lock{mutex_};
  return table_.in_flight();
}

std::chrono::seconds Claims::oldest() const {
  const MutexLock lock{mutex_};
  return table_.oldest(clock_.now());
}

// --- Shards and members ----------------------------------------------------------------------------------------------

void Claims::hold(unsigned shard, Clock::Instant until) {
  const MutexLock lock{mutex_};
  shards_.at(shard).until = until;
}

void Claims::give_up(unsigned shard) {
  const LockedCall call{*this};
  shards_.at(shard).until = Clock::Instant::min();
  for (auto next = entries_.begin(); next != entries_.end();) {
    const auto entry = next++;
    const auto& sources = entry->second.sources;
    const bool is_concerned =
        std::ranges::any_of(sources, [&](const ClaimedMember& each) { return each.shard == shard; });
    if (is_concerned) place_again(entry, table_.pending());
  }
}

bool Claims::is_ours(unsigned shard) const {
  const MutexLock lock{mutex_};
  return is_ours_now(shard);
}

Claims::Offer Claims::offer(unsigned shard, const std::vector<FoundMember>& found) {
  const LockedCall call{*this};
  Offer result;
  table_.advance(clock_.now());
  auto& members = shards_.at(shard).members;
  for (const FoundMember& each : found) {
    if (members.contains(each.member)) {
      ++result.known;
      continue;
    }
    const auto member = parse_member(each.member);
    const auto place = member ? exports_.place(member->name) : std::nullopt;
    if (place && by_export_[place->export_index] >= kSize / exports_.size()) continue;
    const ClaimedMember source{shard, &*members.emplace(each.member, ClaimState::held).first, each.score};
    ++delta_.claimed;
    ++result.taken;
    if (member) {
      this->place(source);
    } else {
      ++delta_.lost;
      end(source);
    }
  }
  return result;
}

// Puts a source where its object is.
void Claims::place(const ClaimedMember& source) {
  const auto path = path_of(source);
  const auto place = path ? exports_.place(*path) : std::nullopt;
  if (!place) {
    ++(path ? delta_.outside : delta_.cancelled);
    return end(source);
  }
  const auto [entry, is_new] = entries_.try_emplace(*path);
  if (is_new) {
    entry->second.export_index = place->export_index;
    ++by_export_[place->export_index];
  }
  entry->second.sources.push_back(source);
  if (table_.add(*place, from_score(source.score), true) == PendingTable::Added::coalesced) ++delta_.coalesced;
}

// Puts all sources of an entry that are not in flight where their objects are. There were `pending_before` entries in
// the table before it was touched.
void Claims::place_again(Entries::iterator entry, std::size_t pending_before) {
  auto& sources = entry->second.sources;
  const auto flight = entry->second.flight;
  const auto leaving = std::stable_partition(sources.begin(), sources.end(), [&](const ClaimedMember& source) {
    return flight && from_score(source.score) <= *flight;
  });
  const std::vector<ClaimedMember> moving(leaving, sources.end());
  sources.erase(leaving, sources.end());
  table_.withdraw(entry->first, false, Time::max(), [](const PendingTable::Withdrawn&) {});
  const std::size_t removed = pending_before - table_.pending();
  delta_.recovered += static_cast<std::int64_t>(moving.size()) - static_cast<std::int64_t>(removed);
  drop_if_spent(entry);
  for (const ClaimedMember& source : moving) {
    if (is_ours_now(source.shard) && source.member->second == ClaimState::held) {
      place(source);
    } else {
      hand_back(source);
    }
  }
}

void Claims::drop_if_spent(Entries::iterator entry) {
  if (!entry->second.sources.empty() || entry->second.flight) return;
  --by_export_[entry->second.export_index];
  entries_.erase(entry);
}

void Claims::end(const ClaimedMember& source) {
  settled_.push_back({source.shard, source.member->first, source.score});
}

void Claims::hand_back(const ClaimedMember& source) {
  ++(source.member->second == ClaimState::gone ? delta_.coalesced : delta_.handed_over);
  shards_[source.shard].members.erase(source.member->first);
}

std::size_t Claims::room() const {
  const MutexLock lock{mutex_};
  return kSize - std::min(kSize, entries_.size());
}

std::size_t Claims::known(unsigned shard) const {
  const MutexLock lock{mutex_};
  return shards_.at(shard).members.size();
}

std::vector<Claims::Settled> Claims::take_settled(std::size_t limit) {
  const MutexLock lock{mutex_};
  if (settled_.size() <= limit) return std::exchange(settled_, {});
  const auto begin = settled_.end() - static_cast<std::ptrdiff_t>(limit);
  std::vector<Settled> taken(begin, settled_.end());
  settled_.erase(begin, settled_.end());
  return taken;
}

bool Claims::has_settled() const {
  const MutexLock lock{mutex_};
  return !settled_.empty();
}

void Claims::finish(const Settled& settled, bool is_removed) {
  const LockedCall call{*this};
  shards_.at(settled.shard).members.erase(settled.member);
  if (is_removed) return;
  ++delta_.recovered;
  ++delta_.handed_over;
}

bool Claims::take_news() {
  const MutexLock lock{mutex_};
  return table_.take_news();
}

// --- Changes of names ------------------------------------------------------------------------------------------------

void Claims::learn(const Event& change, Clock::Instant arrival) {
  const LockedCall call{*this};
  table_.advance(clock_.now());
  if (const auto* const move = std::get_if<Move>(&change)) {
    if (is_within(move->path, move->target) || is_within(move->target, move->path) || !is_new(*move)) return;
    history_.remember(*move, arrival);
    for (const std::string_view path : {move->path, move->target}) {
      invalidations_.add(path);
      look_at(path, true);
    }
  } else if (const auto* const removal = std::get_if<Removal>(&change)) {
    if (!is_new(*removal)) return;
    history_.remember(*removal, arrival);
    invalidations_.add(removal->path);
    look_at(removal->path, removal->subtree);
  }
}

template <class Change>
bool Claims::is_new(const Change& change) {
  const bool is_known = history_.knows(change);
  if (is_known) repeated_.add();
  return !is_known;
}

// All that waits at a path or, with `subtree`, below it goes where a change has moved it.
void Claims::look_at(std::string_view path, bool subtree) {
  std::vector<std::string> found;
  const auto visit = [&](const Entries::value_type& entry) QATIME_REQUIRES(mutex_) {
    if (has_changed(entry)) found.push_back(entry.first);
  };
  if (const auto itself = entries_.find(path); itself != entries_.end()) visit(*itself);
  if (subtree) {
    const std::string begin = path == "/" ? "/" : std::string{path} + '/';
    for (auto at = entries_.lower_bound(begin); at != entries_.end() && at->first.starts_with(begin); ++at) visit(*at);
  }
  for (const std::string& each : found) {
    const auto entry = entries_.find(each);
    if (entry != entries_.end()) place_again(entry, table_.pending());
  }
}

// Whether sources have to leave an entry: they have another path now, or are not ours under this name.
bool Claims::has_changed(const Entries::value_type& entry) const {
  return std::ranges::any_of(entry.second.sources, [&](const ClaimedMember& source) QATIME_REQUIRES(mutex_) {
    return !is_ours_now(source.shard) || source.member->second != ClaimState::held || path_of(source) != entry.first;
  });
}

std::optional<std::string> Claims::path_of(const ClaimedMember& source) const {
  const auto member = parse_member(source.member->first);
  assert(member);  // no other is placed
  const Resolution resolution = history_.follow(member->name, member->as_of.value_or(from_score(source.score)));
  if (resolution.kind == Resolution::Kind::ends) return std::nullopt;
  return resolution.kind == Resolution::Kind::moves ? resolution.path : std::string{member->name};
}

std::optional<std::string> Claims::rename(std::string_view text, std::int64_t score) const {
  const auto member = parse_member(text);
  if (!member) return "";
  const MutexLock lock{mutex_};
  const Resolution resolution = history_.follow(member->name, member->as_of.value_or(from_score(score)));
  if (resolution.kind == Resolution::Kind::ends) return "";
  if (resolution.kind == Resolution::Kind::stays) return std::nullopt;
  return format_member(resolution.path, resolution.last.time + std::chrono::nanoseconds{1});
}

void Claims::renamed(unsigned shard, const std::string& member, std::string_view name, bool is_gone) {
  const LockedCall call{*this};
  auto& members = shards_.at(shard).members;
  const auto known = members.find(member);
  if (known == members.end()) {
    if (is_gone) {
      ++delta_.claimed;
      ++(name.empty() ? delta_.cancelled : delta_.coalesced);
    }
    return;
  }
  known->second = is_gone ? ClaimState::gone : ClaimState::released;
  const auto path = parse_member(name);
  const auto entry = path ? entries_.find(path->name) : entries_.end();
  if (entry != entries_.end() && has_changed(*entry)) place_again(entry, table_.pending());
}

void Claims::is_current(Clock::Instant moment) {
  const MutexLock lock{mutex_};
  current_ = moment;
}

void Claims::forget(Clock::Instant arrival) {
  const MutexLock lock{mutex_};
  history_.forget(arrival + kChanges.retention);
}

std::size_t Claims::changes() const {
  const MutexLock lock{mutex_};
  return history_.size();
}

}  // namespace qatime::backlog::redis
