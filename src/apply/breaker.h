// SPDX-License-Identifier: MIT
// The circuit breaker of an export: it tells failures of one file from those of the export.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "nfs/status.h"

namespace qatime::apply {

struct Task;

// The reason why an export gets no work.
enum class Reason : std::uint8_t {
  denied,       // the server lets us set no times: root squash, or not the owner
  read_only,    // the export is read-only
  mapping,      // no first component below it exists, so the mounted tree is not that of the audit paths
  mount,        // it cannot be mounted
  auth,         // the server rejects the credentials
  unreachable,  // no server answers
};
inline constexpr std::size_t kReasons = 6;
inline constexpr std::array kAllReasons{Reason::denied, Reason::read_only, Reason::mapping,
                                        Reason::mount,  Reason::auth,      Reason::unreachable};
[[nodiscard]] std::string_view name(Reason reason) noexcept;

// The breaker of one export. Pure policy, without side effects.
//
// A denial (ACCES, PERM, ROFS) or a missing first component is final if the export works. Otherwise the task has to
// wait. So the breaker holds such a task as a suspect until other results decide. take_verdicts() returns the decisions
// on held tasks and on tasks that come in while the export is suspended. The caller owns all tasks.
//
// Stamps order the starts of requests and the arrivals of results.
class Breaker {
 public:
  using Stamp = std::uint64_t;

  // This many witnesses in a row, without a success between, make the breaker act. Directories are the witnesses of
  // denials, first components those of a wrong mapping.
  static constexpr std::size_t kWitnesses = 3;
  static constexpr std::size_t kMaxHeld = 1024;
  static constexpr std::chrono::milliseconds kFirstProbe{100};  // doubles with each probe that shows nothing better
  static constexpr std::chrono::seconds kProbeInterval{10};     // up to this
  static constexpr std::chrono::seconds kPatience{1};           // from a denial to the probe of the root
  static constexpr std::chrono::seconds kMissingHold{10};       // after it, a missing first component is final
  static constexpr std::chrono::seconds kIndecision{60};        // after it, a denial suspends or is final
  static constexpr std::chrono::seconds kMappingTrust{60};      // after a first component was found

  struct Verdicts {
    std::vector<Task*> fail;
    std::vector<Task*> put_back;
    std::vector<Task*> put_back_for_later;  // by kMissingHold
    [[nodiscard]] bool empty() const noexcept { return fail.empty() && put_back.empty() && put_back_for_later.empty(); }
  };

  // `is_root`: we are root, who may write the root of every export. For any other user, a denial of the root proves
  // nothing about the export, and an undecided denial is final.
  explicit Breaker(bool is_root = true) noexcept : is_root_{is_root} {}

  // Returns the stamp of something that starts now: an entry is taken, a SETATTR is sent.
  [[nodiscard]] Stamp stamp() noexcept { return ++stamp_; }

  // Takes in a task that met ACCES, PERM or ROFS on an object in `directory`. Sets its Retry::denied.
  void denied(Task& task, nfs::Status status, std::string_view directory, Clock::Instant now);
  // Takes in a task whose first component below the export does not exist.
  void missing(Task& task, std::string_view component, Clock::Instant now);
  // Takes in a task whose credentials were rejected.
  void unauthorized(Task& task, Clock::Instant now);

  // Takes in a denial of the root's own SETATTR, which suspends the export. If we are not root, only ROFS does.
  void root_denied(nfs::Status status, Clock::Instant now);
  // Takes in who owns the root. If it is not root, even a squashed user may be able to set it.
  void root_owned_by(std::uint32_t uid) noexcept { is_root_foreign_ = uid != 0; }
  // Takes in that the root's own SETATTR, sent at `sent` by a probe begun at `taken`, succeeded.
  void root_applied(Stamp taken, Stamp sent, Clock::Instant now);

  // Takes in that a SETATTR sent at `sent` for a task taken at `taken` succeeded.
  void applied(Stamp taken, Stamp sent, Clock::Instant now);
  // Takes in that a first component below the export exists.
  void found(Stamp taken, Clock::Instant now);
  // Takes in that the server accepted our credentials.
  void answered(Stamp taken);

  // Decides on suspects that have waited long enough.
  void tick(Clock::Instant now);

  // Whether this first component is known to be missing, so that all below it is gone.
  [[nodiscard]] bool is_gone(std::string_view component, Clock::Instant now) const;

  // Whether to write back the root's own atime, because it decides on the suspects or the suspension.
  [[nodiscard]] bool root_probe_due(Clock::Instant now) const;
  // Whether to try one entry although the export is suspended.
  [[nodiscard]] bool entry_probe_due(Clock::Instant now) const;
  // Whether a probe by an entry below this first component may show something new.
  [[nodiscard]] bool may_probe(std::string_view component) const;
  void probed(Clock::Instant now);
  // Allows the next probe at once, because the outcome of the last says nothing about the export.
  void undecided(Clock::Instant now);

  [[nodiscard]] std::optional<Reason> suspended() const noexcept { return reason_; }
  // The same, but only once a probe has confirmed it.
  [[nodiscard]] std::optional<Reason> confirmed() const noexcept { return is_confirmed_ ? reason_ : std::nullopt; }
  [[nodiscard]] std::size_t held() const noexcept { return denied_.size() + missing_.size(); }
  [[nodiscard]] bool full() const noexcept { return held() >= kMaxHeld; }
  // Returns when tick() or a probe is due next, or nothing if none is.
  [[nodiscard]] std::optional<Clock::Instant> next_deadline() const;

  [[nodiscard]] bool has_verdicts() const noexcept { return !verdicts_.empty(); }
  [[nodiscard]] Verdicts take_verdicts();

 private:
  struct Suspect {
    Task* task;
    Stamp arrived;
    Clock::Instant since;
    std::string component{};  // that is missing
  };
  using Suspects = std::vector<Suspect>;  // in the order of their arrival

  [[nodiscard]] bool root_decides() const noexcept { return is_root_ && !is_root_odd_ && !is_root_foreign_; }
  [[nodiscard]] bool was_recently_applied(Clock::Instant now) const noexcept {
    return applied_ && now - *applied_ < kIndecision;
  }
  [[nodiscard]] bool is_urgent() const noexcept;
  [[nodiscard]] bool is_probe_by_root() const noexcept;
  void trip(Reason reason, Clock::Instant now);
  void confirm(const Task& task) noexcept;
  void resume_if(bool right_reason, Stamp taken);
  void settle_down() noexcept;
  void note_gone(std::string_view component, Clock::Instant now);
  void end_missing(Clock::Instant now, Clock::Duration age);
  static void release(Suspects& suspects, std::size_t count, std::vector<Task*>& to);

  bool is_root_;
  bool is_root_denied_ = false;                    // by its last probe
  std::optional<Clock::Instant> asks_root_since_;  // because another could be set after it was denied
  bool is_root_foreign_ = false;                   // it is not root's
  bool is_root_odd_ = false;                       // it was denied although others could be set
  std::optional<Reason> reason_;
  bool is_confirmed_ = false;
  std::optional<Clock::Instant> applied_;  // when a SETATTR last succeeded
  std::size_t denied_since_ = 0;           // entries that were denied for the first time since the trip
  std::optional<Clock::Instant> found_;    // when a first component last existed
  Stamp stamp_ = 0;
  Stamp tripped_ = 0;
  Clock::Instant next_probe_ = Clock::Instant::min();
  Clock::Duration probe_interval_{kFirstProbe};
  unsigned probes_ = 0;                                        // since the trip
  Clock::Instant next_patient_probe_ = Clock::Instant::min();  // where nothing is urgent
  Suspects denied_;
  Suspects missing_;
  std::map<std::string, std::size_t, std::less<>> missing_components_;  // the tasks that missed each
  std::vector<std::string> witnesses_;                                  // directories of denials since the last success
  Reason suspicion_ = Reason::denied;                                   // the reason that the last denial suggests
  std::map<std::string, Clock::Instant, std::less<>> gone_;             // first components, and when that was last seen
  std::set<std::string, std::less<>> tried_;  // first components that are missing, of a wrong mapping
  Verdicts verdicts_;
};

}  // namespace qatime::apply
