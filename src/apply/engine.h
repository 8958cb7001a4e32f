// SPDX-License-Identifier: MIT
// The engine: it takes accesses from the backlog, finds their objects and sets their atimes.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <list>
#include <memory>
#include <memory_resource>
#include <optional>
#include <random>
#include <string_view>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>

#include "apply/atime_policy.h"
#include "apply/breaker.h"
#include "apply/directory_scan.h"
#include "apply/export_reporter.h"
#include "apply/guard_support.h"
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
#include "nfs/time_delta.h"
#include "telemetry/metrics.h"

namespace qatime::apply {

// Thread: apply, like the client. The client must complete no request after the engine is destroyed. The constructor's
// arguments outlive the engine. `config.exports` and `exports` have the same order. With `dry_run` it sends no SETATTR
// and counts an entry as applied where it would. `seed` is for the jitter of retries.
class Engine {
 public:
  Engine(backlog::Backlog& backlog, nfs::Client& client, const Clock& clock, const NfsConfig& config,
         const Exports& exports, const PolicyConfig& policy, metrics::Registry& registry, bool dry_run,
         std::uint64_t seed = std::random_device{}());

  // Starts all work that can start now. Call it when the backlog has new work, when the client changed, at
  // next_deadline(), and at least every 100 ms. Completions continue without it.
  void pump();

  // Returns when pump() has work next, apart from completions and callbacks; nothing if never.
  [[nodiscard]] std::optional<Clock::Instant> next_deadline() const;

  // Adopts a policy and `max_rate`, the updates per second (nfs.max_rate; 0: no limit).
  void reconfigure(const PolicyConfig& policy, std::size_t max_rate);

  // Takes no more entries and puts back those in scans. Entries in flight go on.
  void stop_taking();

  // Entries in flight here.
  [[nodiscard]] std::size_t work() const noexcept {
    assert(thread_.is_current());
    return tasks_.size() + scans_.entries();
  }

 private:
  struct ExportState {
    Breaker breaker;
    GuardSupport guards;
    TimeDelta time_delta;
    ExportReporter reporter;
  };

  // Choosing the work.
  void advance();
  bool take();
  bool take_slice(std::size_t limit);
  bool go_on_scanning(std::size_t limit);
  [[nodiscard]] std::size_t share(std::size_t export_index, std::size_t limit, Clock::Instant now) const;
  void forget_changed();
  void forget(std::string_view path);
  void watch(std::size_t export_index, Clock::Instant now);
  [[nodiscard]] std::optional<Reason> state(std::size_t export_index) const;
  void probe_root(std::size_t export_index, Clock::Instant now);
  void carry_out(const Breaker::Verdicts& verdicts);

  // The steps of a task: update.cc.
  Task& begin(std::size_t export_index, std::shared_ptr<const std::string> directory, backlog::Entry entry);
  void locate(Task& task);
  void scanned(const DirectoryScan& scan, const backlog::Entry& entry, const nfs::Object* object);
  bool recall(Task& task);
  void look(Task& task);
  void looked(Task& task, nfs::Status status, const nfs::Object& object);
  void read(Task& task);
  [[nodiscard]] bool is_forward(const Task& task, const nfs::Attributes& attributes) const;
  void decide(Task& task, const nfs::Attributes& attributes);
  void set(Task& task, const nfs::Attributes& attributes);
  void send(Task& task);
  void send_due();
  void was_set(Task& task, nfs::Status status, const std::optional<nfs::Attributes>& after);
  [[nodiscard]] bool took(const Task& task, Time reported);
  void remember(const Task& task, const std::optional<nfs::Attributes>& after);
  void look_again(Task& task);
  void leave(const nfs::Handle& object);
  void doubt_guards(std::size_t export_index);

  // The end of a task.
  void failed(Task& task, nfs::Status status, std::string_view where);
  void missed(Task& task, std::string_view where);
  void retry(Task& task, bool limited);
  void applied(Task& task);
  void settle(const Task& task);
  void put_back(Task& task, Clock::Duration delay, const backlog::Retry& retry);
  void fail(Task& task);

  ThreadChecker thread_;
  backlog::Backlog& backlog_;
  nfs::Client& client_;
  const Clock& clock_;
  const Exports& exports_;
  AtimePolicy policy_;
  const bool dry_run_;
  OutcomeCounters outcomes_;
  Pipeline pipeline_;
  Resolver resolver_;
  DirectoryScans scans_;
  HotFileCache hot_files_;
  std::vector<ExportState> states_;  // by export
  std::size_t next_export_ = 0;      // next in turn
  bool is_scans_turn_ = false;
  bool stopping_ = false;
  std::pmr::unsynchronized_pool_resource memory_;
  std::pmr::list<Task> tasks_{&memory_};
  // Objects with a SETATTR in flight, and the tasks that wait for its end to look again.
  boost::unordered_flat_map<nfs::Handle, std::vector<Task*>, std::hash<nfs::Handle>> setting_;
  std::size_t max_rate_;
  RateLimiter rate_limiter_;
  std::size_t most_paced_;   // the limit of entries in flight
  std::deque<Task*> paced_;  // their SETATTR waits for the rate limiter
  Backoff backoff_;
};

}  // namespace qatime::apply
