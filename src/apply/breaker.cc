// SPDX-License-Identifier: MIT
// How suspects are judged
//
// Denials. A SETATTR that was sent after a denial arrived and succeeds shows that the export can be written: the denial
// is the object's own. Denials from several directories without a success between show that it cannot. Where nobody
// else decides, the root's own atime is written back, which decides either way.
//
// Missing first components. One that exists shows that the mapping is right, for a minute: meanwhile those that are
// missing are just gone. Without one, several paths suspend the export, and fewer are gone after a while.
//
// A suspended export is tried with one entry at a time, and only an entry that was taken after the trip resumes it:
// what was in flight before may have been answered by a server, or at a time, of which the trip knows better. So an
// export of which one node is fine and another is not goes back and forth once per probe, not once per request.
#include "apply/breaker.h"

#include <algorithm>
#include <utility>

namespace qatime::apply {

std::string_view name(Reason reason) noexcept {
  switch (reason) {
    case Reason::denied:
      return "denied";
    case Reason::read_only:
      return "read_only";
    case Reason::mapping:
      return "mapping";
    case Reason::mount:
      return "mount";
    case Reason::auth:
      return "auth";
    case Reason::unreachable:
      return "unreachable";
  }
  return "other";
}

namespace {

Reason reason_of(nfs::Status denial) noexcept {
  return denial == nfs::Status::rofs ? Reason::read_only : Reason::denied;
}

}  // namespace

void Breaker::denied(Task& task, nfs::Status status, std::string_view directory, Clock::Instant now) {
  if (reason_) return verdicts_.put_back.push_back(&task);
  denied_.push_back({&task, stamp(), now});
  suspicion_ = reason_of(status);
  if (std::find(witnesses_.begin(), witnesses_.end(), directory) == witnesses_.end()) {
    witnesses_.emplace_back(directory);
  }
  if (witnesses_.size() >= kWitnesses) trip(suspicion_, now);
}

void Breaker::missing(Task& task, Clock::Instant now) {
  if (reason_) return verdicts_.put_back.push_back(&task);
  if (found_ && now - *found_ < kMappingTrust) return verdicts_.fail.push_back(&task);
  missing_.push_back({&task, stamp(), now});
  if (missing_.size() >= kWitnesses) trip(Reason::mapping, now);
}

void Breaker::unauthorized(Task& task, Clock::Instant now) {
  verdicts_.put_back.push_back(&task);
  if (!reason_) trip(Reason::auth, now);
}

void Breaker::root_denied(nfs::Status status, Clock::Instant now) {
  const bool decides = is_root_ || status == nfs::Status::rofs;
  if (!reason_ && decides) trip(reason_of(status), now);
}

void Breaker::applied(Stamp taken, Stamp sent) {
  witnesses_.clear();
  const auto later =
      std::find_if(denied_.begin(), denied_.end(), [sent](const Suspect& suspect) { return suspect.arrived > sent; });
  release(denied_, static_cast<std::size_t>(later - denied_.begin()), verdicts_.fail);
  resume_if(reason_ == Reason::denied || reason_ == Reason::read_only, taken);
}

void Breaker::found(Stamp taken, Clock::Instant now) {
  found_ = now;
  release(missing_, missing_.size(), verdicts_.fail);
  resume_if(reason_ == Reason::mapping, taken);
}

void Breaker::answered(Stamp taken) { resume_if(reason_ == Reason::auth, taken); }

void Breaker::tick(Clock::Instant now) {
  const auto later = std::find_if(missing_.begin(), missing_.end(),
                                  [now](const Suspect& suspect) { return now - suspect.since < kMissingHold; });
  release(missing_, static_cast<std::size_t>(later - missing_.begin()), verdicts_.fail);
  if (denied_.empty() || now - denied_.front().since < kIndecision) return;
  if (is_root_) return trip(suspicion_, now);
  const auto recent = std::find_if(denied_.begin(), denied_.end(),
                                   [now](const Suspect& suspect) { return now - suspect.since < kIndecision; });
  release(denied_, static_cast<std::size_t>(recent - denied_.begin()), verdicts_.fail);
}

bool Breaker::root_probe_due(Clock::Instant now) const {
  return !denied_.empty() && now >= next_probe_ && (full() || now - denied_.front().since >= kPatience);
}

bool Breaker::entry_probe_due(Clock::Instant now) const { return reason_ && now >= next_probe_; }

void Breaker::probed(Clock::Instant now) { next_probe_ = now + kProbeInterval; }

void Breaker::undecided(Clock::Instant now) {
  if (reason_) next_probe_ = std::min(next_probe_, now);
}

std::optional<Clock::Instant> Breaker::next_deadline() const {
  if (reason_) return next_probe_;
  std::optional<Clock::Instant> next;
  if (!missing_.empty()) next = missing_.front().since + kMissingHold;
  if (!denied_.empty()) {
    const auto probe = std::max(next_probe_, denied_.front().since + kPatience);
    next = next ? std::min(*next, probe) : probe;
  }
  return next;
}

Breaker::Verdicts Breaker::take_verdicts() { return std::exchange(verdicts_, {}); }

void Breaker::trip(Reason reason, Clock::Instant now) {
  reason_ = reason;
  tripped_ = stamp();
  probed(now);
  witnesses_.clear();
  release(denied_, denied_.size(), verdicts_.put_back);
  release(missing_, missing_.size(), verdicts_.put_back);
}

void Breaker::resume_if(bool right_reason, Stamp taken) {
  if (right_reason && taken > tripped_) reason_.reset();
}

void Breaker::release(Suspects& suspects, std::size_t count, std::vector<Task*>& to) {
  const auto end = suspects.begin() + static_cast<Suspects::difference_type>(count);
  for (auto at = suspects.begin(); at != end; ++at) to.push_back(at->task);
  suspects.erase(suspects.begin(), end);
}

}  // namespace qatime::apply
