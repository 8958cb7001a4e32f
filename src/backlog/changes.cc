// SPDX-License-Identifier: MIT
//
// A path is looked up by itself and by each of its ancestors: every path that some change names has the list of its
// effects in the order of time. So the price is that of the path's depth, however many changes there are; and an
// object that was accessed after all of them, which is the common case, costs one comparison.
#include "backlog/changes.h"

#include <algorithm>
#include <utility>

#include "path.h"

namespace qatime::backlog {

Order Changes::remember(const Move& move, Clock::Instant now) {
  const Order order{move.time, ++sequence_};
  const std::string* target = add_effect(move.target, order, {Effect::Kind::replaces, nullptr});
  const std::string* path = add_effect(move.path, order, {Effect::Kind::moves, target});
  add_change({now, order, path, target});
  return order;
}

Order Changes::remember(const Removal& removal, Clock::Instant now) {
  const Order order{removal.time, ++sequence_};
  const auto kind = removal.subtree ? Effect::Kind::removes_subtree : Effect::Kind::removes_one;
  add_change({now, order, add_effect(removal.path, order, {kind, nullptr}), nullptr});
  return order;
}

void Changes::forget(Clock::Instant now) {
  while (!arrived_.empty() && now - arrived_.front().arrival >= limits_.retention) drop_first();
}

Fate Changes::follow(std::string_view path, Order from, std::uint64_t seen) const {
  Fate fate;
  if (seen == sequence_ || orders_.empty() || *orders_.rbegin() < from) return fate;
  while (const auto step = first_step(path, from, seen)) {
    if (step->effect.kind != Effect::Kind::moves) return {Fate::Kind::ends, {}};
    fate = {Fate::Kind::moves, rebase(path, step->path, *step->effect.target)};
    path = fate.path;
    from = {step->order.time, step->order.sequence + 1};
  }
  return fate;
}

// The first effect on the object at `path`.
std::optional<Changes::Step> Changes::first_step(std::string_view path, Order from, std::uint64_t seen) const {
  std::optional<Step> first;
  for (std::size_t end = 1; end <= path.size(); end = std::min(path.find('/', end + 1), path.size())) {
    const std::string_view prefix = path.substr(0, end);
    if (const auto found = paths_.find(prefix); found != paths_.end()) {
      const Effects& effects = found->second;
      for (auto at = effects.lower_bound(from); at != effects.end() && !(first && first->order < at->first); ++at) {
        if (at->first.sequence <= seen) continue;
        if (at->second.kind == Effect::Kind::removes_one && prefix.size() < path.size()) continue;
        first = Step{at->first, prefix, at->second};
        break;
      }
    }
    if (end == path.size()) break;
  }
  return first;
}

const std::string* Changes::add_effect(std::string_view path, Order order, Effect effect) {
  auto at = paths_.find(path);
  if (at == paths_.end()) at = paths_.try_emplace(std::string{path}).first;
  at->second.emplace(order, effect);
  return &at->first;
}

void Changes::drop_effect(const std::string& path, Order order) {
  const auto at = paths_.find(path);
  at->second.erase(order);
  if (at->second.empty()) paths_.erase(at);
}

void Changes::add_change(const Change& change) {
  arrived_.push_back(change);
  orders_.insert(change.order);
  bytes_ += bytes_of(change);
  while (bytes_ > limits_.bytes && arrived_.size() > 1) drop_first();
}

void Changes::drop_first() {
  const Change change = arrived_.front();
  arrived_.pop_front();
  orders_.erase(change.order);
  bytes_ -= bytes_of(change);
  drop_effect(*change.path, change.order);
  if (change.target != nullptr) drop_effect(*change.target, change.order);
}

// As if no path were named twice.
std::size_t Changes::bytes_of(const Change& change) {
  constexpr std::size_t kNodes = 512;  // of the trees and the hash table
  return kNodes + change.path->size() + (change.target == nullptr ? 0 : change.target->size());
}

}  // namespace qatime::backlog
