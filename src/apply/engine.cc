// SPDX-License-Identifier: MIT
// The turns of work: which entries are taken up, and when. The steps of each entry are in update.cc.
//
// Nothing recurses: a completion moves its task to its next request, which waits in the pipeline, and then starts what
// there is room for.
#include "apply/engine.h"

#include <algorithm>
#include <cassert>
#include <chrono>
#include <cstdint>
#include <string>
#include <utility>

namespace qatime::apply {
namespace {

using nfs::Status;

constexpr std::size_t kSlice = 256;      // entries of one directory before others have their turn
constexpr std::size_t kAhead = 4;        // entries in work per request that can be outstanding; at half, more
constexpr std::size_t kLeastPaced = 32;  // entries in work where nfs.max_rate is low
constexpr std::chrono::milliseconds kPaceTick{1};
constexpr std::chrono::milliseconds kFirstRetry{200};
constexpr std::chrono::seconds kLastRetry{30};

// Entries in work at that rate.
constexpr std::size_t most_paced(std::size_t max_rate) noexcept {
  return max_rate == 0 ? SIZE_MAX : std::max(kLeastPaced, max_rate / 4);
}

}  // namespace

Engine::Engine(backlog::Backlog& backlog, nfs::Client& client, const Clock& clock, const NfsConfig& config,
               const Exports& exports, const PolicyConfig& policy, metrics::Registry& registry, bool dry_run,
               std::uint64_t seed)
    : backlog_{backlog},
      client_{client},
      clock_{clock},
      exports_{exports},
      policy_{policy},
      dry_run_{dry_run},
      outcomes_{registry},
      pipeline_{client, [this] { advance(); }},
      resolver_{client, pipeline_, clock, config, exports, registry},
      scans_{backlog,
             pipeline_,
             resolver_,
             clock,
             exports,
             config.readdirplus,
             [this] { forget_changed(); },
             [this](const DirectoryScan& scan, const backlog::Entry& entry, const nfs::Object* object) {
               scanned(scan, entry, object);
             }},
      max_rate_{config.max_rate},
      rate_limiter_{config.max_rate},
      most_paced_{most_paced(config.max_rate)},
      backoff_{kFirstRetry, kLastRetry, seed} {
  assert(config.exports.size() == exports.size());
  for (const auto& each : config.exports)
    states_.push_back({Breaker{config.uid == 0}, {}, {}, ExportReporter{each, registry}});
}

// What there is to do.

void Engine::pump() {
  assert(thread_.is_current());
  const auto now = clock_.now();
  for (std::size_t export_index = 0; export_index < states_.size(); ++export_index) watch(export_index, now);
  advance();
}

std::optional<Clock::Instant> Engine::next_deadline() const {
  assert(thread_.is_current());
  const auto now = clock_.now();
  std::optional<Clock::Instant> next;
  auto consider = [&](std::optional<Clock::Instant> at) {
    if (at && *at > now && (!next || *at < *next)) next = at;
  };
  if (client_.room() > 0) consider(backlog_.next_due());
  if (client_.room() > 0 && !paced_.empty()) consider(std::max(rate_limiter_.next(), now + kPaceTick));
  for (std::size_t export_index = 0; export_index < states_.size(); ++export_index) {
    if (client_.root(export_index)) consider(states_[export_index].breaker.next_deadline());
  }
  return next;
}

void Engine::reconfigure(const PolicyConfig& policy, std::size_t max_rate) {
  assert(thread_.is_current());
  policy_ = AtimePolicy{policy};
  if (max_rate != max_rate_) rate_limiter_.change(max_rate, clock_.now());
  max_rate_ = max_rate;
  most_paced_ = most_paced(max_rate);
}

void Engine::stop_taking() {
  assert(thread_.is_current());
  stopping_ = true;
  for (std::size_t export_index = 0; export_index < states_.size(); ++export_index) scans_.withdraw(export_index);
}

void Engine::advance() {
  for (auto& state : states_) {
    if (state.breaker.has_verdicts()) carry_out(state.breaker.take_verdicts());
  }
  // Work that is taken brings the news with it; a scan goes on without.
  if (scans_.entries() > 0) forget_changed();
  do {
    send_due();
    pipeline_.run();
  } while (take());
}

// Takes up more work, by turns of scans and of the backlog; false if there is none, or enough.
bool Engine::take() {
  if (stopping_ || client_.room() == 0) return false;
  std::size_t held = 0;
  for (const auto& state : states_) held += state.breaker.held();
  const std::size_t most = std::min(kAhead * pipeline_.width(), most_paced_);
  const std::size_t busy = tasks_.size() - held + scans_.expected();
  if (busy > most / 2) return false;
  const std::size_t limit = most - busy;
  is_scans_turn_ = !is_scans_turn_;
  if (is_scans_turn_) return go_on_scanning(limit) || take_slice(limit);
  return take_slice(limit) || go_on_scanning(limit);
}

// Returns whether a scan could take its next step. Gives back to the backlog the entries of exports that get no work.
bool Engine::go_on_scanning(std::size_t limit) {
  for (std::size_t export_index = 0; export_index < states_.size(); ++export_index) {
    const auto& breaker = states_[export_index].breaker;
    if (!client_.root(export_index) || breaker.full() || breaker.suspended()) scans_.withdraw(export_index);
  }
  return scans_.step(std::min(limit, kSlice));
}

// Takes a slice of the export whose turn it is; false if there is none.
bool Engine::take_slice(std::size_t most) {
  const auto now = clock_.now();
  for (std::size_t tried = 0; tried < states_.size(); ++tried) {
    const std::size_t export_index = std::exchange(next_export_, (next_export_ + 1) % states_.size());
    const std::size_t limit = share(export_index, most, now);
    if (limit == 0) continue;
    backlog::Slice slice = backlog_.take(export_index, limit);
    auto& breaker = states_[export_index].breaker;
    if (slice.entries.empty()) {
      if (breaker.suspended() && breaker.suspended() != Reason::mapping) probe_root(export_index, now);
      continue;
    }
    const bool is_hot = hot_files_.find(slice.directory, slice.entries.front().name, now) != nullptr;
    const auto more = breaker.suspended() || is_hot ? std::nullopt : scans_.extra_entries(slice);
    if (more) backlog_.take_more(slice, *more);
    if (breaker.suspended()) breaker.probed(now);
    forget_changed();
    if (more) {
      scans_.begin(std::move(slice), breaker.stamp());
      return true;
    }
    const auto directory = std::make_shared<const std::string>(std::move(slice.directory));
    for (auto& entry : slice.entries) locate(begin(export_index, directory, std::move(entry)));
    return true;
  }
  return false;
}

// How many entries the export may take now.
std::size_t Engine::share(std::size_t export_index, std::size_t limit, Clock::Instant now) const {
  const auto& breaker = states_[export_index].breaker;
  if (!client_.root(export_index) || breaker.full()) return 0;
  if (breaker.suspended()) return breaker.entry_probe_due(now) ? 1 : 0;
  return std::min(limit, kSlice);
}

// After every take(): what was taken knows of all moves up to now, so must the handles.
void Engine::forget_changed() {
  const auto changed = backlog_.take_invalidations();
  if (changed.everything) return forget("/");
  for (const auto& path : changed.paths) forget(path);
}

void Engine::forget(std::string_view path) {
  resolver_.forget(path);
  scans_.forget(path);
  hot_files_.forget(path);
  const std::string_view directory = parent(path);
  const std::string_view name = path.substr(path.rfind('/') + 1);
  for (Task& task : tasks_) {
    const bool is_it = task.entry.name == name && *task.directory == directory;
    if (is_it || is_within(*task.directory, path)) task.is_doubtful = true;
  }
}

void Engine::watch(std::size_t export_index, Clock::Instant now) {
  auto& breaker = states_[export_index].breaker;
  breaker.tick(now);
  if (breaker.root_probe_due(now)) probe_root(export_index, now);
  states_[export_index].reporter.update(state(export_index), backlog_.pending(), now);
}

// Why the export gets no work.
std::optional<Reason> Engine::state(std::size_t export_index) const {
  if (client_.root(export_index)) return states_[export_index].breaker.suspended();
  const Status status = client_.mount_status(export_index);
  if (status == Status::ok) return Reason::unreachable;
  return status == Status::auth ? Reason::auth : Reason::mount;
}

// Writes the root's own atime back, which changes nothing and tells whether the export can be written.
void Engine::probe_root(std::size_t export_index, Clock::Instant now) {
  states_[export_index].breaker.probed(now);
  Task& task = begin(export_index, std::make_shared<const std::string>(exports_.path(export_index)), {});
  task.is_probe = true;
  locate(task);
}

}  // namespace qatime::apply
