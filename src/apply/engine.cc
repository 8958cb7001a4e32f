// SPDX-License-Identifier: MIT
// The turns of work: which entries are taken up, and when. The steps of each entry are in updates.cc.
//
// Each export has work of its own, in proportion to the requests that the servers take for it. So one that is slow, or
// does not answer, keeps no other waiting.
//
// Nothing recurses: a completion moves its task to its next request, which waits in the pipeline. Behind all
// completions that come together, what there is room for is started, because each of these stages alone fits the
// processor's cache.
#include "apply/engine.h"

#include <algorithm>
#include <cassert>
#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

namespace qatime::apply {
namespace {

using nfs::Status;

constexpr std::size_t kSlice = 256;  // entries of one directory before others have their turn

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
      pipeline_{client, exports.size(), [this](auto completed) { advance(completed); }},
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
              [this](const auto& scan, backlog::Entry&& entry, const auto* object) {
                updates_.begin(scan, std::move(entry), object);
              },
              [this](auto export_index, auto directory, const auto& entry, const auto& object, auto read) {
                return updates_.know(export_index, directory, entry, object, read);
              },
              [this](const auto& directory) { return updates_.hold(directory); },
              [this](const auto& directory) { updates_.release(directory); },
              [this](const auto& scan, Time atime, const auto& moved) { updates_.repair(scan, atime, moved); }}} {
  assert(config.exports.size() == exports.size());
  for (const auto& each : config.exports) reporters_.emplace_back(each, registry);
}

// The turns.

void Engine::pump() {
  assert(thread_.is_current());
  const auto now = clock_.now();
  for (std::size_t export_index = 0; export_index < states_.size(); ++export_index) watch(export_index, now);
  if (scans_.entries() > 0) forget_changed();  // work that is taken brings the news with it; a scan goes on without
  for (std::size_t export_index = 0; export_index < states_.size(); ++export_index) carry_out_verdicts(export_index);
  found_nothing_ = false;
  updates_.send_due();
  pipeline_.run();
  // The first in turn is another each time, because a backlog may have less than all could take.
  for (std::size_t count = 0; count < states_.size(); ++count) go_on((first_ + count) % states_.size());
  first_ = (first_ + 1) % states_.size();
}

std::optional<Clock::Instant> Engine::next_deadline() const {
  assert(thread_.is_current());
  const auto now = clock_.now();
  std::optional<Clock::Instant> next;
  auto consider = [&](std::optional<Clock::Instant> at) {
    if (at && *at > now && (!next || *at < *next)) next = at;
  };
  const auto due = backlog_.next_due();
  if (due && *due <= now && found_nothing_) return now;  // it lets a bounded number wait again at a time
  consider(due);
  consider(updates_.next_due());
  for (std::size_t export_index = 0; export_index < states_.size(); ++export_index) {
    if (trees_[export_index].is_there) consider(states_[export_index].breaker.next_deadline());
  }
  return next;
}

void Engine::stop_taking() {
  assert(thread_.is_current());
  stopping_ = true;
  for (std::size_t export_index = 0; export_index < states_.size(); ++export_index) scans_.withdraw(export_index);
}

// After completions: only their exports may have need of more work.
void Engine::advance(std::span<const std::size_t> exports) {
  for (const std::size_t export_index : exports) carry_out_verdicts(export_index);
  if (scans_.entries() > 0) forget_changed();
  updates_.send_due();
  pipeline_.run();
  for (const std::size_t export_index : exports) go_on(export_index);
}

void Engine::carry_out_verdicts(std::size_t export_index) {
  auto& breaker = states_[export_index].breaker;
  if (breaker.has_verdicts()) updates_.carry_out(breaker.take_verdicts());
}

// Takes up work of the export as long as there is some and it has not enough.
void Engine::go_on(std::size_t export_index) {
  while (take(export_index)) {
    updates_.send_due();
    pipeline_.run();
  }
}

// Whether the export has enough entries in work. The client's room is asked for when there is less than enough again,
// and not before, because that takes a look at each server.
bool Engine::has_enough(std::size_t export_index, std::size_t busy) {
  Tree& tree = trees_[export_index];
  const auto is_enough = [&] { return busy > std::min(tree.enough, updates_.most()) / 2; };
  if (!is_enough() && std::exchange(tree.had_enough, false)) {
    // One request at least, whose turn comes although others have all the room now.
    tree.enough = kAhead * std::max<std::size_t>(pipeline_.outstanding(export_index) + client_.room(export_index), 1);
  }
  tree.had_enough = tree.had_enough || is_enough();
  return is_enough();
}

// Takes up more work, by turns of scans and of the backlog; false if there is none, or enough.
bool Engine::take(std::size_t export_index) {
  Tree& tree = trees_[export_index];
  const std::size_t busy = working(export_index) + scans_.expected(export_index);
  if (stopping_ || has_enough(export_index, busy)) return false;
  if (busy > 0 && !client_.has_room(export_index)) return false;  // without work it gets some, and its turn
  const std::size_t limit = std::min(tree.enough, updates_.most()) - busy;
  tree.is_scans_turn = !tree.is_scans_turn;
  if (tree.is_scans_turn) return go_on_scanning(export_index, limit) || take_slice(export_index, limit);
  return take_slice(export_index, limit) || go_on_scanning(export_index, limit);
}

// Entries in work that may go on.
std::size_t Engine::working(std::size_t export_index) const {
  return updates_.size(export_index) - states_[export_index].breaker.held();
}

// Whether the export gets other work than probes.
bool Engine::is_open(std::size_t export_index) const {
  const auto& breaker = states_[export_index].breaker;
  return trees_[export_index].is_there && !breaker.full() && !breaker.suspended();
}

// Returns whether a scan could take its next step. Gives the entries back to the backlog if the export gets no work.
bool Engine::go_on_scanning(std::size_t export_index, std::size_t limit) {
  if (!is_open(export_index)) scans_.withdraw(export_index);
  return scans_.step(export_index, std::min(limit, kSlice));
}

// Takes a slice of the export, or an entry that tries it; false if there is none.
bool Engine::take_slice(std::size_t export_index, std::size_t limit) {
  auto& breaker = states_[export_index].breaker;
  const auto now = clock_.now();
  if (trees_[export_index].is_there && breaker.entry_probe_due(now)) return take_probe(export_index, now);
  if (!is_open(export_index)) return false;
  const std::size_t most = std::min(limit, kSlice);
  backlog::Slice slice =
      scans_.has_room(export_index, most)
          ? backlog_.take(export_index, most)
          : backlog_.take_wanted(export_index, most, [this](auto directory) { return !scans_.is_reading(directory); });
  found_nothing_ = slice.entries.empty();
  if (found_nothing_) return false;
  const bool is_hot = updates_.is_hot(slice.directory, slice.entries.front().name) || scans_.recall(slice);
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
  if (tree.is_there != root.has_value()) tree.had_enough = true;  // for other servers
  tree.is_there = root.has_value();
  if (root && root != tree.root) {
    if (tree.root) forget(exports_.path(export_index));  // whose handles are of another tree
    tree.root = root;
  }
  auto& breaker = states_[export_index].breaker;
  breaker.tick(now);
  if (root && breaker.root_probe_due(now)) probe_root(export_index, now);
  reporters_[export_index].update(state(export_index), backlog_.pending(), now);
}

// Why the export gets no work.
std::optional<Reason> Engine::state(std::size_t export_index) const {
  if (trees_[export_index].is_there) return states_[export_index].breaker.confirmed();
  const Status status = client_.mount_status(export_index);
  if (status == Status::ok) return Reason::unreachable;
  return status == Status::auth ? Reason::auth : Reason::mount;
}

void Engine::probe_root(std::size_t export_index, Clock::Instant now) {
  states_[export_index].breaker.probed(now);
  updates_.probe_root(export_index);
}

}  // namespace qatime::apply
