// SPDX-License-Identifier: MIT
//
// A path is looked up by itself and by each of its ancestors: every path that some change names has the list of its
// effects in the order of time. The hash of a path is that of its components one after the other, so those of all its
// ancestors come by the way, and the price is that of the path's length, however many changes there are. An object
// that was accessed after all of them, which is the common case, costs one comparison.
//
// Two directions: forwards an object at a path meets the first effect on the path or an ancestor; backwards an object
// that is at a path came there by the last move whose target is the path or an ancestor, since that move ended all
// that had been there before. A whole subtree is traced piece by piece: some changes carry all of it, some a part.
#include "pending/renames.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "base/path.h"
#include "pending/container/hash.h"

namespace qatime::backlog {
namespace {

constexpr Order kEnd{Time::max(), ~std::uint64_t{0}};

// Calls visit(end, hash) for "/" and each longer prefix of `path` up to the whole, by their sizes.
template <class Visit>
void visit_hashes(std::string_view path, const Visit& visit) {
  std::uint64_t hash = hash_bytes("/");
  visit(1, hash);
  for (std::size_t begin = 1, end = 1; end < path.size(); begin = end + 1) {
    end = std::min(path.find('/', begin), path.size());
    hash = hash_bytes(path.substr(begin, end - begin), hash);
    visit(end, hash);
  }
}

std::uint64_t hash_of_path(std::string_view path) {
  std::uint64_t last = 0;
  visit_hashes(path, [&last](std::size_t, std::uint64_t hash) { last = hash; });
  return last;
}

// After all changes at `time`.
Order after(Time time) { return {time, ~std::uint64_t{0}}; }

}  // namespace

bool RenameHistory::knows(const Move& move) const {
  return has_effect(move.path, move.time, NameEffect::Kind::moves, move.target);
}

bool RenameHistory::knows(const Removal& removal) const {
  const auto kind = removal.subtree ? NameEffect::Kind::removes_subtree : NameEffect::Kind::removes_one;
  return has_effect(removal.path, removal.time, kind, {});
}

// `other` is the target of what moves.
bool RenameHistory::has_effect(std::string_view path, Time time, NameEffect::Kind kind, std::string_view other) const {
  const auto name = names_.find(path);
  if (name == names_.end()) return false;
  const NameEffects& effects = name->second;
  for (auto at = effects.lower_bound({time}); at != effects.end() && at->first.time == time; ++at) {
    if (at->second.kind == kind && (kind != NameEffect::Kind::moves || *at->second.other == other)) return true;
  }
  return false;
}

Order RenameHistory::remember(const Move& move, Clock::Instant now) {
  trim();
  const Order order = next(move.time);
  const auto path = name(move.path);
  const auto target = name(move.target);
  path->second.emplace(order, NameEffect{NameEffect::Kind::moves, &target->first});
  target->second.emplace(order, NameEffect{NameEffect::Kind::replaces, &path->first});
  return add_change({now, path, target}, move.time);
}

Order RenameHistory::remember(const Removal& removal, Clock::Instant now) {
  trim();
  const auto path = name(removal.path);
  const auto kind = removal.subtree ? NameEffect::Kind::removes_subtree : NameEffect::Kind::removes_one;
  path->second.emplace(next(removal.time), NameEffect{kind, nullptr});
  return add_change({now, path, std::nullopt}, removal.time);
}

void RenameHistory::forget(Clock::Instant now) {
  const auto is_old = [&](const auto& change) { return now - change->second.arrival >= limits_.retention; };
  while (!changes_.empty() && is_old(changes_.begin())) drop(changes_.begin());
  while (!arrivals_.empty()) {
    const auto change = changes_.find(arrivals_.front().order);
    if (change != changes_.end()) {
      if ((now - arrivals_.front().moment) / 2 < limits_.retention) break;
      drop(change);
    }
    arrivals_.pop_front();
  }
  trim();
}

Resolution RenameHistory::follow(std::string_view path, Time time) const {
  Resolution resolution;
  if (changes_.empty() || changes_.rbegin()->first.time < time) return resolution;
  Order from{time};
  while (const auto step = first_step(path, from, false)) {
    if (step->effect.kind != NameEffect::Kind::moves) return {Resolution::Kind::ends, {}, step->order};
    resolution = {Resolution::Kind::moves, rebase(path, path.substr(0, step->size), *step->effect.other), step->order};
    path = resolution.path;
    from = {step->order.time, step->order.sequence + 1};
  }
  return resolution;
}

std::string RenameHistory::origin(std::string_view path, Time time, std::uint64_t seen) const {
  std::string name{path};
  if (changes_.empty() || changes_.rbegin()->first.time < time) return name;
  Order until = kEnd;
  while (const auto step = last_move_here(name, {time}, until, seen)) {
    name = rebase(name, std::string_view{name}.substr(0, step->size), *step->effect.other);
    until = step->order;
  }
  return name;
}

bool RenameHistory::untouched_since(std::string_view path, Time time) const {
  if (changes_.empty() || changes_.rbegin()->first.time <= time) return true;
  bool touched = false;
  const auto look = [&](const NameEffects& effects) { touched = touched || effects.rbegin()->first.time > time; };
  visit_prefixes(path, [&](std::size_t, const NameEffects& effects) { look(effects); });
  visit_below(path, [&](const NameEffects& effects) { look(effects); });
  return !touched;
}

// Follows pieces of a subtree from change to change.
class RenameHistory::Trace {
 public:
  Trace(const RenameHistory& changes, std::string_view path, Order at) : changes_{changes} { add(path, at); }

  std::vector<std::string> forwards() {
    std::vector<std::string> found;
    while (next_ < pieces_.size()) {
      const Piece piece = pieces_[next_++];
      const auto whole = changes_.first_step(piece.path, piece.at, true);
      const Order end = whole ? whole->order : kEnd;
      add_parts(piece.path, NameEffect::Kind::moves, piece.at, end, false);
      if (whole) {
        add_whole(piece.path, *whole, {end.time, end.sequence + 1});
      } else {
        found.push_back(piece.path);
      }
    }
    return found;
  }

  std::vector<std::string> backwards() {
    std::vector<std::string> found;
    while (next_ < pieces_.size()) {
      const Piece piece = pieces_[next_++];
      const auto whole = changes_.last_move_here(piece.path, {Time::min()}, piece.at, kAll);
      const Order begin = whole ? whole->order : Order{Time::min()};
      add_parts(piece.path, NameEffect::Kind::replaces, begin, piece.at, true);
      if (whole) add_whole(piece.path, *whole, begin);
      found.push_back(piece.path);
    }
    return found;
  }

 private:
  struct Piece {
    std::string path;
    Order at;
    friend auto operator<=>(const Piece&, const Piece&) = default;
  };

  void add(std::string_view path, Order at) {
    Piece piece{std::string{path}, at};
    if (known_.insert(piece).second) pieces_.push_back(std::move(piece));
  }

  void add_whole(std::string_view path, const PrefixEffect& step, Order at) {
    add(rebase(path, path.substr(0, step.size), *step.effect.other), at);
  }

  // The paths that changes of `kind` in [from, until) carry away from below `path`, or have brought there.
  void add_parts(std::string_view path, NameEffect::Kind kind, Order from, Order until, bool before) {
    changes_.visit_below(path, [&](const NameEffects& effects) {
      for (auto at = effects.lower_bound(from); at != effects.end() && at->first < until; ++at) {
        const auto& [order, effect] = *at;
        if (effect.kind == kind) add(*effect.other, before ? order : Order{order.time, order.sequence + 1});
      }
    });
  }

  const RenameHistory& changes_;
  std::vector<Piece> pieces_;
  std::size_t next_ = 0;
  std::set<Piece> known_;
};

std::vector<std::string> RenameHistory::destinations(std::string_view path, Time time) const {
  return Trace{*this, path, after(time)}.forwards();
}

std::vector<std::string> RenameHistory::sources(std::string_view path, Time time) const {
  return Trace{*this, path, after(time)}.backwards();
}

// Calls visit(size, effects) for `path` and each of its ancestors that some change names; `size` is that of the prefix.
template <class Visit>
void RenameHistory::visit_prefixes(std::string_view path, const Visit& visit) const {
  visit_hashes(path, [&](std::size_t size, std::uint64_t hash) {
    const auto [first, last] = by_hash_.equal_range(hash);
    for (auto at = first; at != last; ++at) {
      if (at->second->first == path.substr(0, size)) visit(size, at->second->second);
    }
  });
}

// Calls visit(effects) for all paths below `path` that some change names.
template <class Visit>
void RenameHistory::visit_below(std::string_view path, const Visit& visit) const {
  const std::string begin = path == "/" ? "/" : std::string{path} + '/';
  for (auto at = names_.upper_bound(begin); at != names_.end() && at->first.starts_with(begin); ++at) visit(at->second);
}

// The first effect from `from` on upon the object at `path`, or the first move.
std::optional<RenameHistory::PrefixEffect> RenameHistory::first_step(std::string_view path, Order from,
                                                                     bool moves_only) const {
  std::optional<PrefixEffect> first;
  visit_prefixes(path, [&](std::size_t size, const NameEffects& effects) {
    for (auto at = effects.lower_bound(from); at != effects.end() && !(first && first->order < at->first); ++at) {
      const auto kind = at->second.kind;
      if (moves_only && kind != NameEffect::Kind::moves) continue;
      if (kind == NameEffect::Kind::removes_one && size < path.size()) continue;
      first = PrefixEffect{at->first, size, at->second};
      break;
    }
  });
  return first;
}

// The last move in [from, until) up to the sequence `seen` that has brought what is at `path`.
std::optional<RenameHistory::PrefixEffect> RenameHistory::last_move_here(std::string_view path, Order from, Order until,
                                                                         std::uint64_t seen) const {
  std::optional<PrefixEffect> last;
  visit_prefixes(path, [&](std::size_t size, const NameEffects& effects) {
    for (auto at = effects.lower_bound(until); at != effects.begin();) {
      --at;
      if (at->first < from || (last && at->first < last->order)) break;
      if (at->second.kind != NameEffect::Kind::replaces || at->first.sequence > seen) continue;
      last = PrefixEffect{at->first, size, at->second};
      break;
    }
  });
  return last;
}

RenameHistory::Names::iterator RenameHistory::name(std::string_view path) {
  const auto [at, is_new] = names_.try_emplace(std::string{path});
  if (is_new) by_hash_.emplace(hash_of_path(path), at);
  return at;
}

void RenameHistory::drop_name(Names::iterator name, Order order) {
  name->second.erase(order);
  if (!name->second.empty()) return;
  auto at = by_hash_.equal_range(hash_of_path(name->first)).first;
  while (at->second != name) ++at;
  by_hash_.erase(at);
  names_.erase(name);
}

Order RenameHistory::add_change(const Change& change, Time time) {
  const Order order{time, ++sequence_};
  changes_.emplace(order, change);
  arrivals_.push_back({change.arrival, order});
  bytes_ += bytes_of(change);
  return order;
}

// Only before a change is added: while it is carried out, it and all later ones are known.
void RenameHistory::trim() {
  constexpr std::size_t kFew = 64;
  while (bytes_ > limits_.bytes && changes_.size() > 1) drop(changes_.begin());
  if (arrivals_.size() <= 2 * changes_.size() + kFew) return;
  std::erase_if(arrivals_, [this](const Arrival& arrival) { return !remembers(arrival.order); });
}

void RenameHistory::drop(std::map<Order, Change>::iterator at) {
  const auto [order, change] = *at;
  changes_.erase(at);
  bytes_ -= bytes_of(change);
  drop_name(change.path, order);
  if (change.target) drop_name(*change.target, order);
}

// As if no path were named twice.
std::size_t RenameHistory::bytes_of(const Change& change) {
  constexpr std::size_t kNodes = 640;  // of the trees, the hash table and the queue
  return kNodes + change.path->first.size() + (change.target ? (*change.target)->first.size() : 0);
}

}  // namespace qatime::backlog
