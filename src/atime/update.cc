// SPDX-License-Identifier: MIT
#include "atime/update.h"

#include <chrono>

namespace qatime::atime {
namespace {

using std::chrono::nanoseconds;

constexpr unsigned kMaxNotSyncs = 3;  // in a row, before going without the guard

void doubt(Traits& traits, Clock::Instant now) {
  if (traits.guards.doubted(now)) traits.notice = Traits::Notice::has_no_guards;
}

// Another time of the same second.
Time almost(Time time) noexcept {
  const bool is_whole = time == std::chrono::floor<std::chrono::seconds>(time);
  return is_whole ? time + nanoseconds{1} : time - nanoseconds{1};
}

}  // namespace

Update::Setattr Update::next(const nfs::Attributes& found, Time asked, bool proves, Traits& traits,
                             Clock::Instant now) {
  if (std::exchange(rejected_, {}) == found.ctime) doubt(traits, now);
  asked_ = asked;
  before_ = found.atime;
  guard_.reset();
  if (!is_unguarded_ && traits.guards.usable(now)) guard_ = found.ctime;
  if (proves && guard_ && proof_ == Proof::none && traits.guards.take_proof()) {
    proof_ = Proof::sent;
    return {found.atime, almost(found.ctime)};
  }
  return {asked, guard_};
}

Update::Next Update::on_reply(nfs::Status status, const std::optional<nfs::Attributes>& after, Traits& traits,
                              Clock::Instant now) {
  if (proof_ == Proof::sent && status == nfs::Status::not_sync) {
    proof_ = Proof::refused;
    return Next::again;
  }
  const Proof proof = std::exchange(proof_, Proof::none);
  if (proof == Proof::sent && status == nfs::Status::ok) {
    traits.guards.proven(false);
    traits.notice = Traits::Notice::coarse_guards;
    return Next::look;
  }
  // A refusal says nothing if the object has changed in between.
  if (proof == Proof::refused && status == nfs::Status::ok) traits.guards.proven(true);
  if (proof != Proof::none && status != nfs::Status::ok) traits.guards.not_proven();

  if (status == nfs::Status::ok) return succeeded(after, traits, now);
  if (guard_ && status == nfs::Status::not_sync) {
    rejected_ = guard_;
    is_unguarded_ = ++not_syncs_ >= kMaxNotSyncs;
    return Next::look;
  }
  if (guard_ && (status == nfs::Status::inval || status == nfs::Status::notsupp)) {
    is_unguarded_ = guard_refused_ = true;
    return Next::look;
  }
  return done(status);
}

Update::Next Update::succeeded(const std::optional<nfs::Attributes>& after, Traits& traits, Clock::Instant now) {
  if (guard_) traits.guards.honoured();
  if (guard_refused_) doubt(traits, now);
  if (!after || !traits.replies_are_right) return reads_back_ ? Next::read_back : done(nfs::Status::ok);
  is_reply_doubtful_ = !took(after->atime, traits);
  return is_reply_doubtful_ ? Next::read_back : done(nfs::Status::ok);
}

void Update::on_read_back(const nfs::Attributes& attributes, Traits& traits) {
  status_ = took(attributes.atime, traits) ? nfs::Status::ok : nfs::Status::ignored;
  if (!is_reply_doubtful_ || status_ != nfs::Status::ok) return;
  traits.replies_are_right = false;
  traits.notice = Traits::Notice::wrong_replies;
}

// Whether a server that reports this atime after a SETATTR has done something.
bool Update::took(Time reported, Traits& traits) const {
  switch (traits.time_delta.observe(asked_, reported)) {
    case TimeDelta::Observation::as_expected:
      return true;
    case TimeDelta::Observation::rounded:
      traits.notice = Traits::Notice::rounds;
      return true;
    case TimeDelta::Observation::different:
      break;
  }
  return reported != before_;
}

Update::Next Update::done(nfs::Status status) noexcept {
  status_ = status;
  return Next::done;
}

}  // namespace qatime::atime
