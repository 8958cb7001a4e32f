// SPDX-License-Identifier: MIT
// How suspects are judged
//
// Denials. A SETATTR that was sent after a denial arrived and succeeds shows that the export can be written: the denial
// is the object's own. As root we need not wait for one: after denials in several directories, and where nobody else
// decides, we write back the root's own atime, which decides either way. A root that is denied, and again right after
// another could be set, decides nothing any more; nor does one that is not root's, because a squashed user may own it.
// For any other user, denials in several directories suspend the export for a moment: one entry at a time is tried, at
// first after kFirstProbe, the newest first. A success resumes it, and an entry that is denied again after that is
// final. So a few denials by chance cost the others a moment, and a real one loses nothing.
//
// Missing first components. One that exists shows that the mapping is right, for a minute: meanwhile those that are
// missing are just gone. Without one, several of them suspend the export, and fewer are gone after a while. A single
// one below which much is missing suspends it as well if none was ever found, because then the mapping was never right.
//
// Only an entry that was taken after the trip resumes an export: what was in flight before may have been answered by a
// server, or at a time, of which the trip knows better.
#include "apply/breaker.h"

#include <algorithm>
#include <utility>

#include "apply/task.h"

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

Clock::Instant earlier(std::optional<Clock::Instant> a, Clock::Instant b) noexcept { return a ? std::min(*a, b) : b; }

}  // namespace

void Breaker::denied(Task& task, nfs::Status status, std::string_view directory, Clock::Instant now) {
  const bool was_denied = std::exchange(task.entry.retry.denied, true);
  if (reason_) {
    // One that was denied before may be denied alone.
    if (!was_recently_applied(now) || (!was_denied && ++denied_since_ >= kWitnesses)) confirm(task);
    return verdicts_.put_back.push_back(&task);
  }
  if (was_denied && !root_decides()) return verdicts_.fail.push_back(&task);
  denied_.push_back({&task, stamp(), now});
  suspicion_ = reason_of(status);
  if (witnesses_.size() < kWitnesses && std::ranges::count(witnesses_, directory) == 0) {
    witnesses_.emplace_back(directory);
  }
  if (is_urgent() && !root_decides()) trip(suspicion_, now);
}

void Breaker::missing(Task& task, std::string_view component, Clock::Instant now) {
  if (reason_ == Reason::mapping) {
    confirm(task);
    if (tried_.size() >= kMaxHeld) tried_.clear();
    tried_.emplace(component);
  }
  if (reason_) return verdicts_.put_back.push_back(&task);
  if (is_gone(component, now) || (found_ && now - *found_ < kMappingTrust)) {
    note_gone(component, now);
    return verdicts_.fail.push_back(&task);
  }
  const auto witness = missing_components_.try_emplace(std::string{component}).first;
  ++witness->second;
  if (held() >= kMaxHeld / 2) return verdicts_.put_back_for_later.push_back(&task);
  missing_.push_back({&task, stamp(), now, witness->first});
  if (missing_components_.size() >= kWitnesses) trip(Reason::mapping, now);
}

void Breaker::unauthorized(Task& task, Clock::Instant now) {
  verdicts_.put_back.push_back(&task);
  if (!reason_) trip(Reason::auth, now);
  if (reason_ == Reason::auth) is_confirmed_ = true;
}

void Breaker::root_denied(nfs::Status status, Clock::Instant now) {
  is_root_denied_ = true;
  const auto asked = std::exchange(asks_root_since_, std::nullopt);
  if (asked && now - *asked < kPatience) is_root_odd_ = true;
  if (!root_decides() && status != nfs::Status::rofs) return;
  if (!reason_) trip(reason_of(status), now);
  is_confirmed_ = true;
}

void Breaker::root_applied(Stamp taken, Stamp sent, Clock::Instant now) {
  if (is_root_foreign_ && is_root_) return;
  is_root_denied_ = is_root_odd_ = false;
  asks_root_since_.reset();
  applied(taken, sent, now);
}

void Breaker::applied(Stamp taken, Stamp sent, Clock::Instant now) {
  applied_ = now;
  witnesses_.clear();
  const auto later = std::ranges::find_if(denied_, [sent](const Suspect& suspect) { return suspect.arrived > sent; });
  release(denied_, static_cast<std::size_t>(later - denied_.begin()), verdicts_.fail);
  if (reason_ != Reason::denied && reason_ != Reason::read_only) {
    if (!reason_) settle_down();
    return;
  }
  resume_if(true, taken);
  if (!reason_ && root_decides() && is_root_denied_) asks_root_since_ = now;
}

void Breaker::found(Stamp taken, Clock::Instant now) {
  found_ = now;
  end_missing(now, {});
  resume_if(reason_ == Reason::mapping, taken);
}

void Breaker::answered(Stamp taken) { resume_if(reason_ == Reason::auth, taken); }

void Breaker::tick(Clock::Instant now) {
  if (!missing_.empty() && now - missing_.front().since >= kMissingHold) {
    if (!found_ && missing_components_.at(missing_.front().component) >= kWitnesses) return trip(Reason::mapping, now);
    end_missing(now, kMissingHold);
  }
  if (denied_.empty() || now - denied_.front().since < kIndecision) return;
  if (is_root_ && !is_root_odd_) {
    trip(suspicion_, now);
    is_confirmed_ = true;
    return;
  }
  const auto recent =
      std::ranges::find_if(denied_, [now](const Suspect& suspect) { return now - suspect.since < kIndecision; });
  release(denied_, static_cast<std::size_t>(recent - denied_.begin()), verdicts_.fail);
}

bool Breaker::is_gone(std::string_view component, Clock::Instant now) const {
  const auto known = gone_.find(component);
  return known != gone_.end() && now - known->second < kMappingTrust;
}

// Whether there is enough evidence not to wait for others.
bool Breaker::is_urgent() const noexcept { return witnesses_.size() >= kWitnesses || full(); }

// Whether the probe of a suspended export is the root. Every fourth is an entry, for a root that is denied alone.
bool Breaker::is_probe_by_root() const noexcept {
  return root_decides() && (reason_ == Reason::denied || reason_ == Reason::read_only) && probes_ % 4 != 3;
}

bool Breaker::root_probe_due(Clock::Instant now) const {
  if (now < next_probe_) return false;
  if (reason_) return is_probe_by_root();
  if (asks_root_since_) return true;
  if (denied_.empty()) return false;
  return is_urgent() || (now - denied_.front().since >= kPatience && now >= next_patient_probe_);
}

bool Breaker::entry_probe_due(Clock::Instant now) const { return reason_ && now >= next_probe_ && !is_probe_by_root(); }

bool Breaker::may_probe(std::string_view component) const { return !tried_.contains(component); }

void Breaker::probed(Clock::Instant now) {
  next_probe_ = now + probe_interval_;
  next_patient_probe_ = now + kProbeInterval;
  probe_interval_ = std::min<Clock::Duration>(2 * probe_interval_, kProbeInterval);
  ++probes_;
}

void Breaker::undecided(Clock::Instant now) {
  if (reason_) next_probe_ = std::min(next_probe_, now);
}

std::optional<Clock::Instant> Breaker::next_deadline() const {
  if (reason_) return next_probe_;
  std::optional<Clock::Instant> next;
  if (asks_root_since_) next = next_probe_;
  if (!missing_.empty()) next = earlier(next, missing_.front().since + kMissingHold);
  if (!denied_.empty()) {
    const auto patient = std::max(denied_.front().since + kPatience, next_patient_probe_);
    const auto probe = is_urgent() ? next_probe_ : std::max(next_probe_, patient);
    next = earlier(next, probe);
  }
  return next;
}

Breaker::Verdicts Breaker::take_verdicts() { return std::exchange(verdicts_, {}); }

void Breaker::trip(Reason reason, Clock::Instant now) {
  reason_ = reason;
  is_confirmed_ = false;
  denied_since_ = 0;
  tripped_ = stamp();
  probe_interval_ = kFirstProbe;
  probes_ = 0;
  probed(now);
  witnesses_.clear();
  tried_.clear();
  for (const auto& [component, count] : std::exchange(missing_components_, {})) tried_.insert(component);
  release(denied_, denied_.size(), verdicts_.put_back);
  release(missing_, missing_.size(), verdicts_.put_back);
}

// A task that was taken after the trip shows that it was right.
void Breaker::confirm(const Task& task) noexcept {
  if (task.taken > tripped_) is_confirmed_ = true;
}

void Breaker::resume_if(bool right_reason, Stamp taken) {
  if (!right_reason || taken <= tripped_) return;
  reason_.reset();
  settle_down();
}

// The next doubt is looked into at once.
void Breaker::settle_down() noexcept {
  probe_interval_ = kFirstProbe;
  next_probe_ = Clock::Instant::min();
}

void Breaker::note_gone(std::string_view component, Clock::Instant now) {
  if (gone_.size() >= kMaxHeld) gone_.clear();
  gone_.insert_or_assign(std::string{component}, now);
}

// The components that have been missing for that long are gone, with all who missed them.
void Breaker::end_missing(Clock::Instant now, Clock::Duration age) {
  for (const Suspect& suspect : missing_) {
    if (now - suspect.since >= age && missing_components_.erase(suspect.component) > 0) {
      note_gone(suspect.component, now);
    }
  }
  std::erase_if(missing_, [this](const Suspect& suspect) {
    const bool is_over = !missing_components_.contains(suspect.component);
    if (is_over) verdicts_.fail.push_back(suspect.task);
    return is_over;
  });
  if (missing_.empty()) missing_components_.clear();
}

void Breaker::release(Suspects& suspects, std::size_t count, std::vector<Task*>& to) {
  const auto end = suspects.begin() + static_cast<Suspects::difference_type>(count);
  for (auto at = suspects.begin(); at != end; ++at) to.push_back(at->task);
  suspects.erase(suspects.begin(), end);
}

}  // namespace qatime::apply
