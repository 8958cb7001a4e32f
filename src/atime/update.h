// SPDX-License-Identifier: MIT
// The rules by which the atime of one object is set: its guard, further attempts, and whether it took.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>

#include "atime/guard_support.h"
#include "atime/time_delta.h"
#include "base/clock.h"
#include "base/timestamp.h"
#include "nfs/client.h"
#include "nfs/status.h"

namespace qatime::atime {

// How the server of one export carries out SETATTR, as learned from its replies.
struct Traits {
  // Something that an administrator may want to know, once per export.
  enum class Notice : std::uint8_t {
    rounds,         // time_delta.name() says to what
    has_no_guards,  // it refuses them, or refuses all requests that have one
    coarse_guards,  // it compares whole seconds
    wrong_replies,  // its replies to SETATTR have another atime than it keeps
  };
  // Returns the last notice since the last call.
  [[nodiscard]] std::optional<Notice> take_notice() noexcept { return std::exchange(notice, {}); }

  GuardSupport guards;
  TimeDelta time_delta;
  bool replies_are_right = true;
  std::optional<Notice> notice;
};

// The setting of one object's atime, RPC by RPC, which the caller carries out. Pure policy, without side effects.
//
// A SETATTR is guarded by the ctime just seen. After NOT_SYNC the caller looks at the object again. After three of
// them, and where the server refuses guards, the next goes without. To find out whether guards are exact, the first
// SETATTR is one that an exact guard refuses: the same atime, with a ctime that differs by a nanosecond.
class Update {
 public:
  // `reads_back`: also where a reply reports no attributes.
  explicit Update(bool reads_back = false) noexcept : reads_back_{reads_back} {}

  struct Setattr {
    Time atime;
    std::optional<Time> guard;  // a ctime
  };
  // Returns the SETATTR to send for an object with the attributes `found`. With `proves`, the update finds out whether
  // guards are exact, unless that is known.
  [[nodiscard]] Setattr next(const nfs::Attributes& found, Time asked, bool proves, Traits& traits, Clock::Instant now);

  enum class Next : std::uint8_t {
    done,       // status() is the outcome
    again,      // next(), with the same attributes
    look,       // next(), with the attributes that the object has now
    read_back,  // on_read_back(), with the attributes that the object has now
  };
  // Takes in the reply to the SETATTR of next().
  [[nodiscard]] Next on_reply(nfs::Status status, const std::optional<nfs::Attributes>& after, Traits& traits,
                              Clock::Instant now);
  // Takes in that the update ends without a reply to its last SETATTR, or without sending one.
  void abandon(Traits& traits) noexcept {
    if (proof_ != Proof::none) traits.guards.not_proven();
  }
  // Takes in the attributes after Next::read_back. The update is done.
  void on_read_back(const nfs::Attributes& attributes, Traits& traits);

  // nfs::Status::ignored if the server says ok and leaves the atime as it is.
  [[nodiscard]] nfs::Status status() const noexcept { return status_; }

  // Whether the last SETATTR had a guard, and no earlier one met NOT_SYNC.
  [[nodiscard]] bool went_smoothly() const noexcept { return guard_ && not_syncs_ == 0; }
  [[nodiscard]] bool is_guarded() const noexcept { return !is_unguarded_; }

 private:
  enum class Proof : std::uint8_t { none, sent, refused };

  [[nodiscard]] Next done(nfs::Status status) noexcept;
  [[nodiscard]] Next succeeded(const std::optional<nfs::Attributes>& after, Traits& traits, Clock::Instant now);
  [[nodiscard]] bool took(Time reported, Traits& traits) const;

  Time asked_{};
  Time before_{};
  std::optional<Time> guard_;     // that of the last SETATTR
  std::optional<Time> rejected_;  // that of the last SETATTR, if it met NOT_SYNC
  unsigned not_syncs_ = 0;        // in a row
  nfs::Status status_ = nfs::Status::ok;
  Proof proof_ = Proof::none;
  bool is_unguarded_ = false;       // no further SETATTR has a guard
  bool guard_refused_ = false;      // one met an error that might not come without its guard
  bool is_reply_doubtful_ = false;  // it reported the atime of before
  bool reads_back_;
};

}  // namespace qatime::atime
