// SPDX-License-Identifier: MIT
// The updates in flight: each takes an entry from its path to its outcome.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <memory_resource>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>

#include "apply/atime_policy.h"
#include "apply/breaker.h"
#include "apply/directory_scan.h"
#include "apply/export_state.h"
#include "apply/hot_file_cache.h"
#include "apply/outcome_counters.h"
#include "apply/pipeline.h"
#include "apply/rate_limiter.h"
#include "apply/resolver.h"
#include "apply/task.h"
#include "backlog/backlog.h"
#include "base/backoff.h"
#include "base/clock.h"
#include "base/path.h"
#include "base/thread_checker.h"
#include "config/config.h"
#include "nfs/client.h"
#include "telemetry/metrics.h"

namespace qatime::apply {

// All tasks. None outlives the client's last completion. The constructor's arguments outlive it. Thread: apply.
class Updates {
 public:
  // With `dry_run` it sends no SETATTR and counts an entry as applied where it would. `seed` is for the jitter of
  // retries. `catch_up` calls forget() for each new invalidation.
  Updates(backlog::Backlog& backlog, const Clock& clock, const NfsConfig& config, const Exports& exports,
          const PolicyConfig& policy, metrics::Registry& registry, bool dry_run, std::uint64_t seed, Pipeline& pipeline,
          Resolver& resolver, std::vector<ExportState>& states, std::function<void()> catch_up);

  // Begins with an entry that was taken.
  void begin(std::size_t export_index, std::shared_ptr<const std::string> directory, backlog::Entry entry);
  // Begins with an entry that leaves a scan, with its object, or with null if it needs a LOOKUP.
  void begin(const DirectoryScan& scan, backlog::Entry&& entry, const nfs::Object* object);
  // Notes what a page of moments ago, `read`, has of an entry that begins next. Returns whether that spares its LOOKUP.
  bool know(std::size_t export_index, std::string_view directory, const backlog::Entry& entry,
            const nfs::Object& object, Clock::Instant read);

  // Writes the root's own atime back, which changes nothing and tells whether the export can be written.
  void probe_root(std::size_t export_index);

  // Keeps others from setting the atime of a directory, until release() or repair(). Returns false if a SETATTR of it
  // is in flight.
  [[nodiscard]] bool hold(const nfs::Handle& directory);
  void release(const nfs::Handle& directory) { leave(directory); }
  // Gives the directory of a scan its atime back. `moved` are its attributes since our READDIRPLUS, and all but the
  // atime of those before.
  void repair(const DirectoryScan& scan, Time atime, const nfs::Attributes& moved);

  void carry_out(const Breaker::Verdicts& verdicts);

  // Sends the SETATTRs whose turn it is by nfs.max_rate.
  void send_due();
  // Returns when send_due() has work next; nothing if never.
  [[nodiscard]] std::optional<Clock::Instant> next_due() const;

  // Takes in that names at and below `path` might mean other objects now.
  void forget(std::string_view path);

  // Adopts a policy and `max_rate`, the updates per second (nfs.max_rate; 0: no limit).
  void reconfigure(const PolicyConfig& policy, std::size_t max_rate);

  // Whether the object of this name is known from a moment ago.
  [[nodiscard]] bool is_hot(std::string_view directory, std::string_view name);

  // The most tasks of an export that nfs.max_rate makes sense of.
  [[nodiscard]] std::size_t most() const noexcept { return most_paced_; }
  [[nodiscard]] std::size_t size(std::size_t export_index) const { return counts_.at(export_index); }
  [[nodiscard]] std::size_t size() const noexcept {
    assert(thread_.is_current());
    return tasks_.size();
  }

 private:
  void erase(Task& task);
  Task& create(std::size_t export_index, std::shared_ptr<const std::string> directory, backlog::Entry entry);
  void go_on_repairing(Task& task);
  void locate(Task& task);
  [[nodiscard]] bool recall(Task& task);
  void look(Task& task);
  void looked(Task& task, nfs::Status status, const nfs::Object& object);
  void read(Task& task);
  void was_read(Task& task, nfs::Status status, const std::optional<nfs::Attributes>& attributes);
  [[nodiscard]] bool is_forward(const Task& task, const nfs::Attributes& attributes) const;
  void decide(Task& task, const nfs::Attributes& attributes);
  [[nodiscard]] bool is_doubtful(const Task& task);
  void give_back(Task& task);
  [[nodiscard]] bool stays(Task& task, const nfs::Attributes& attributes);
  void set(Task& task, const nfs::Attributes& attributes);
  [[nodiscard]] bool may_be_old(const Task& task) const;
  [[nodiscard]] std::deque<Task*>* next_paced();
  void send(Task& task);
  void was_set(Task& task, nfs::Status status, const std::optional<nfs::Attributes>& after);
  void set_ended(Task& task, const std::optional<nfs::Attributes>& after);
  void remember(const Task& task, const std::optional<nfs::Attributes>& after);
  void look_again(Task& task);
  void leave(const nfs::Handle& object);
  void leave_if_held(Task& task);
  void say_notice(std::size_t export_index);

  void failed(Task& task, nfs::Status status, std::string_view where);
  void missed(Task& task, std::string_view where);
  void retry(Task& task, bool limited);
  void applied(Task& task);
  void settle(const Task& task);
  void put_back(Task& task, Clock::Duration delay, const backlog::Retry& retry);
  void fail(Task& task);

  ThreadChecker thread_;
  backlog::Backlog& backlog_;
  const Clock& clock_;
  const Exports& exports_;
  Pipeline& pipeline_;
  Resolver& resolver_;
  std::vector<ExportState>& states_;  // by export
  const std::function<void()> catch_up_;
  AtimePolicy policy_;
  const bool dry_run_;
  OutcomeCounters outcomes_;
  HotFileCache hot_files_;
  std::pmr::unsynchronized_pool_resource memory_;
  std::pmr::list<Task> tasks_{&memory_};
  std::vector<std::size_t> counts_;  // of tasks, by export
  // Objects with a SETATTR in flight, and the tasks that wait for its end to look again.
  boost::unordered_flat_map<nfs::Handle, std::vector<Task*>, std::hash<nfs::Handle>> setting_;
  std::size_t max_rate_;
  RateLimiter rate_limiter_;
  std::size_t most_paced_;                // the limit of an export's entries in flight
  std::vector<std::deque<Task*>> paced_;  // by export: their SETATTR waits for the rate limiter
  std::size_t paced_count_ = 0;
  std::size_t next_paced_ = 0;  // export next in turn
  Backoff backoff_;
};

}  // namespace qatime::apply
