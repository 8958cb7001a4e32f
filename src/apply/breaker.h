// SPDX-License-Identifier: MIT
// The circuit breaker of an export: it parts failures of one file from those of the export.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "nfs/status.h"

namespace qatime::apply {

struct Task;

// Why an export gets no work.
enum class Reason : std::uint8_t {
  denied,       // nothing may be set: root squash, or not the owner
  read_only,    // the export is read-only
  mapping,      // no first component below it exists: another tree is mounted than the audit paths speak of
  mount,        // it cannot be mounted
  auth,         // the server rejects the credentials
  unreachable,  // no server answers
};
inline constexpr std::size_t kReasons = 6;
inline constexpr std::array kAllReasons{Reason::denied, Reason::read_only, Reason::mapping,
                                        Reason::mount,  Reason::auth,      Reason::unreachable};
[[nodiscard]] std::string_view name(Reason reason) noexcept;

// The breaker of one export: pure policy. A denial (ACCES, PERM, ROFS) or a missing first component is final if the
// export is fine, and nothing but a reason to wait if it is not; so the task that meets one is held as a suspect until
// something tells. What held tasks and those that come in while the export is suspended become is handed out by
// take_verdicts(); the tasks stay the caller's.
//
// Moments are told by stamps, which order what is started and what arrives.
class Breaker {
 public:
  using Stamp = std::uint64_t;

  // So many witnesses without an acquittal between suspend the export: directories for denials, paths for
  // missing first components.
  static constexpr std::size_t kWitnesses = 3;
  static constexpr std::size_t kMaxHeld = 1024;
  static constexpr std::chrono::seconds kProbeInterval{10};
  static constexpr std::chrono::seconds kPatience{1};       // for others to decide before the root is probed
  static constexpr std::chrono::seconds kMissingHold{10};   // then a missing first component is just missing
  static constexpr std::chrono::seconds kIndecision{60};    // then a denial that nothing decides suspends the export
  static constexpr std::chrono::seconds kMappingTrust{60};  // after a first component was found

  struct Verdicts {
    std::vector<Task*> fail;
    std::vector<Task*> put_back;
    [[nodiscard]] bool empty() const noexcept { return fail.empty() && put_back.empty(); }
  };

  // `is_root`: we are root, who may write every root of an export. For anybody else, a denial there says no more than
  // one elsewhere, and one that nothing decides is final.
  explicit Breaker(bool is_root = true) noexcept : is_root_{is_root} {}

  // The stamp of what starts now: an entry that is taken, a SETATTR that is sent.
  [[nodiscard]] Stamp stamp() noexcept { return ++stamp_; }

  // Takes in a task that met ACCES, PERM or ROFS on an object in `directory`.
  void denied(Task& task, nfs::Status status, std::string_view directory, Clock::Instant now);
  // Takes in a task whose first component below the export does not exist.
  void missing(Task& task, Clock::Instant now);
  // Takes in a task whose credentials were rejected.
  void unauthorized(Task& task, Clock::Instant now);

  // The root itself may not be written: that is the export.
  void root_denied(nfs::Status status, Clock::Instant now);

  // A SETATTR sent at `sent` for a task taken at `taken` succeeded.
  void applied(Stamp taken, Stamp sent);
  // A first component below the export exists.
  void found(Stamp taken, Clock::Instant now);
  // The server took a request.
  void answered(Stamp taken);

  // Decides what only time decides.
  void tick(Clock::Instant now);

  // Whether it is time to write the root's own atime back, since nothing else tells about the suspects.
  [[nodiscard]] bool root_probe_due(Clock::Instant now) const;
  // Whether one entry may be tried although the export is suspended.
  [[nodiscard]] bool entry_probe_due(Clock::Instant now) const;
  void probed(Clock::Instant now);
  // What was tried has its outcome, which says nothing about the export: the next may be tried at once.
  void undecided(Clock::Instant now);

  [[nodiscard]] std::optional<Reason> suspended() const noexcept { return reason_; }
  [[nodiscard]] std::size_t held() const noexcept { return denied_.size() + missing_.size(); }
  [[nodiscard]] bool full() const noexcept { return held() >= kMaxHeld; }
  // When tick() or a probe is due; nothing if no moment is awaited.
  [[nodiscard]] std::optional<Clock::Instant> next_deadline() const;

  [[nodiscard]] bool has_verdicts() const noexcept { return !verdicts_.empty(); }
  [[nodiscard]] Verdicts take_verdicts();

 private:
  struct Suspect {
    Task* task;
    Stamp arrived;
    Clock::Instant since;
  };
  using Suspects = std::vector<Suspect>;  // in the order of their arrival

  void trip(Reason reason, Clock::Instant now);
  void resume_if(bool right_reason, Stamp taken);
  static void release(Suspects& suspects, std::size_t count, std::vector<Task*>& to);

  bool is_root_;
  std::optional<Reason> reason_;
  std::optional<Clock::Instant> found_;  // when a first component was last known to exist
  Stamp stamp_ = 0;
  Stamp tripped_ = 0;
  Clock::Instant next_probe_{};
  Suspects denied_;
  Suspects missing_;
  std::vector<std::string> witnesses_;  // directories of denials since the last success
  Reason suspicion_ = Reason::denied;   // what the last denial hints at
  Verdicts verdicts_;
};

}  // namespace qatime::apply
