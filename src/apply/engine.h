// SPDX-License-Identifier: MIT
// The engine: it takes accesses from the backlog, finds their objects and sets their atimes.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <random>
#include <span>
#include <string_view>
#include <vector>

#include "apply/directory_scan.h"
#include "apply/export_reporter.h"
#include "apply/export_state.h"
#include "apply/pipeline.h"
#include "apply/resolver.h"
#include "apply/updates.h"
#include "backlog/backlog.h"
#include "base/clock.h"
#include "base/path.h"
#include "base/thread_checker.h"
#include "config/config.h"
#include "nfs/client.h"
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
  void reconfigure(const PolicyConfig& policy, std::size_t max_rate) { updates_.reconfigure(policy, max_rate); }

  // Takes no more entries and puts back those in scans. Entries in flight go on.
  void stop_taking();

  // Entries in flight here.
  [[nodiscard]] std::size_t work() const noexcept {
    assert(thread_.is_current());
    return updates_.size() + scans_.entries();
  }

 private:
  static constexpr std::size_t kAhead = 4;  // entries in work per request that can be outstanding

  // An export, as last seen.
  struct Tree {
    std::optional<nfs::Handle> root;  // the last one
    bool is_there = false;
    std::size_t enough = kAhead;  // entries in work; at half of them it takes more
    bool had_enough = true;       // since `enough` was found
    bool is_scans_turn = false;
  };

  void advance(std::span<const std::size_t> exports);
  void carry_out_verdicts(std::size_t export_index);
  void go_on(std::size_t export_index);
  [[nodiscard]] bool has_enough(std::size_t export_index, std::size_t busy);
  bool take(std::size_t export_index);
  bool take_slice(std::size_t export_index, std::size_t limit);
  bool take_probe(std::size_t export_index, Clock::Instant now);
  bool go_on_scanning(std::size_t export_index, std::size_t limit);
  [[nodiscard]] std::size_t working(std::size_t export_index) const;
  [[nodiscard]] bool is_open(std::size_t export_index) const;
  void forget_changed();
  void forget(std::string_view path);
  void watch(std::size_t export_index, Clock::Instant now);
  [[nodiscard]] std::optional<Reason> state(std::size_t export_index) const;
  void probe_root(std::size_t export_index, Clock::Instant now);

  ThreadChecker thread_;
  backlog::Backlog& backlog_;
  nfs::Client& client_;
  const Clock& clock_;
  const Exports& exports_;
  std::vector<ExportState> states_;        // by export
  std::vector<Tree> trees_;                // likewise
  std::vector<ExportReporter> reporters_;  // likewise
  Pipeline pipeline_;
  Resolver resolver_;
  Updates updates_;
  DirectoryScans scans_;
  std::size_t first_ = 0;       // export in the next turn
  bool found_nothing_ = false;  // in the backlog, when one export last asked
  bool stopping_ = false;
};

}  // namespace qatime::apply
