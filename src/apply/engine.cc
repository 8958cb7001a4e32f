// SPDX-License-Identifier: MIT
// The turns of work: which entries are taken up, and when. The steps of each entry are in updates.cc.
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

constexpr std::size_t kSlice = 256;  // entries of one directory before others have their turn
constexpr std::size_t kAhead = 4;    // entries in work per request that can be outstanding; at half, more

std::vector<ExportState> states_for(const NfsConfig& config) {
  return {config.exports.size(), ExportState{Breaker{config.uid == 0}, {}}};
}

}  // namespace

Engine::Engine(backlog::Backlog& backlog, nfs::Client& client, const Clock& clock, const NfsConfig& config,
               const Exports& exports, const PolicyConfig& policy, metrics::Registry& registry, bool dry_run,
               std::uint64_t seed)
    : backlog_{backlog},
      client_{client},
      clock_{clock},
      exports_{exports},
      states_{states_for(config)},
      trees_(exports.size()),
      pipeline_{client, exports.size(), [this] { advance(); }},
      resolver_{client, pipeline_, clock, config, exports, registry},
      updates_{backlog, clock, config,    exports,   policy,  registry,
               dry_run, seed,  pipeline_, resolver_, states_, [this] { forget_changed(); }},
      scans_{backlog,
             pipeline_,
             resolver_,
             clock,
             exports,
             config.readdirplus && !dry_run,
             {[this] { forget_changed(); },
              [this](const auto& scan, const auto& entry, const auto* object) { updates_.begin(scan, entry, object); },
              [this](const auto& directory) { return updates_.hold(directory); },
              [this](const auto& directory) { updates_.release(directory); },
              [this](const auto& scan, Time atime, const auto& moved) { updates_.repair(scan, atime, moved); }}} {
  assert(config.exports.size() == exports.size());
  for (const auto& each : config.exports) reporters_.emplace_back(each, registry);
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
  if (pipeline_.room() > 0) consider(backlog_.next_due());
  consider(updates_.next_due());
  for (std::size_t export_index = 0; export_index < states_.size(); ++export_index) {
    if (client_.root(export_index)) consider(states_[export_index].breaker.next_deadline());
  }
  return next;
}

void Engine::stop_taking() {
  assert(thread_.is_current());
  stopping_ = true;
  for (std::size_t export_index = 0; export_index < states_.size(); ++export_index) scans_.withdraw(export_index);
}

void Engine::advance() {
  for (auto& state : states_) {
    if (state.breaker.has_verdicts()) updates_.carry_out(state.breaker.take_verdicts());
  }
  // Work that is taken brings the news with it; a scan goes on without.
  if (scans_.entries() > 0) forget_changed();
  do {
    updates_.send_due();
    pipeline_.run();
  } while (take());
}

// Takes up more work, by turns of scans and of the backlog; false if there is none, or enough.
bool Engine::take() {
  const std::size_t room = stopping_ ? 0 : pipeline_.room();
  if (room == 0) return false;
  const std::size_t most = std::min(kAhead * (pipeline_.outstanding() + room), updates_.most());
  const std::size_t busy = working() + scans_.expected();
  if (busy > most / 2) return false;
  const std::size_t limit = most - busy;
  is_scans_turn_ = !is_scans_turn_;
  if (is_scans_turn_) return go_on_scanning(limit) || take_slice(limit);
  return take_slice(limit) || go_on_scanning(limit);
}

// Entries in work that may go on: those of an export that no server has mounted wait for one.
std::size_t Engine::working() const {
  std::size_t count = 0;
  for (std::size_t export_index = 0; export_index < states_.size(); ++export_index) {
    if (trees_[export_index].is_there) count += updates_.size(export_index) - states_[export_index].breaker.held();
  }
  return count;
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
    auto& breaker = states_[export_index].breaker;
    if (client_.root(export_index) && breaker.entry_probe_due(now)) {
      if (take_probe(export_index, now)) return true;
      continue;
    }
    const std::size_t limit = share(export_index, most);
    if (limit == 0) continue;
    backlog::Slice slice = backlog_.take(export_index, limit);
    if (slice.entries.empty()) continue;
    const bool is_hot = updates_.is_hot(slice.directory, slice.entries.front().name);
    const auto more = is_hot ? std::nullopt : scans_.extra_entries(slice);
    if (more) backlog_.take_more(slice, *more);
    forget_changed();
    if (more) {
      scans_.begin(std::move(slice), breaker.stamp());
      return true;
    }
    const auto directory = std::make_shared<const std::string>(std::move(slice.directory));
    for (auto& entry : slice.entries) updates_.begin(export_index, directory, std::move(entry));
    return true;
  }
  return false;
}

// Tries a suspended export with one entry that may show something new, or with its root where none waits.
bool Engine::take_probe(std::size_t export_index, Clock::Instant now) {
  auto& breaker = states_[export_index].breaker;
  const bool is_mapping = breaker.suspended() == Reason::mapping;
  const std::string& root = exports_.path(export_index);
  auto slice = backlog_.take_newest(
      export_index, [&](std::string_view directory, std::string_view name, const backlog::Retry& retry) {
        if (!is_mapping) return !retry.denied;
        return breaker.may_probe(first_component(root, directory == root ? join(directory, name) : directory));
      });
  if (slice.entries.empty()) {
    if (!is_mapping) probe_root(export_index, now);
    return false;
  }
  breaker.probed(now);
  forget_changed();
  updates_.begin(export_index, std::make_shared<const std::string>(std::move(slice.directory)),
                 std::move(slice.entries.front()));
  return true;
}

// How many entries the export may take now.
std::size_t Engine::share(std::size_t export_index, std::size_t limit) const {
  const auto& breaker = states_[export_index].breaker;
  if (client_.room(export_index) == 0 || breaker.full() || breaker.suspended()) return 0;
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
  updates_.forget(path);
}

void Engine::watch(std::size_t export_index, Clock::Instant now) {
  auto& tree = trees_[export_index];
  const auto root = client_.root(export_index);
  tree.is_there = root.has_value();
  if (root && root != tree.root) {
    if (tree.root) forget(exports_.path(export_index));  // whose handles are of another tree
    tree.root = root;
  }
  auto& breaker = states_[export_index].breaker;
  breaker.tick(now);
  if (client_.root(export_index) && breaker.root_probe_due(now)) probe_root(export_index, now);
  reporters_[export_index].update(state(export_index), backlog_.pending(), now);
}

// Why the export gets no work.
std::optional<Reason> Engine::state(std::size_t export_index) const {
  if (client_.root(export_index)) return states_[export_index].breaker.confirmed();
  const Status status = client_.mount_status(export_index);
  if (status == Status::ok) return Reason::unreachable;
  return status == Status::auth ? Reason::auth : Reason::mount;
}

void Engine::probe_root(std::size_t export_index, Clock::Instant now) {
  states_[export_index].breaker.probed(now);
  updates_.probe_root(export_index);
}

}  // namespace qatime::apply
