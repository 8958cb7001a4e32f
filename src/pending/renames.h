// SPDX-License-Identifier: MIT
// The moves and removals of the last minute, for events that come later than they happened.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/event.h"
#include "base/timestamp.h"
#include "pending/history_limits.h"

namespace qatime::backlog {

// Orders changes by their time, and changes at one time by their arrival.
struct Order {
  Time time;
  std::uint64_t sequence = 0;  // of arrival, from 1
  friend auto operator<=>(const Order&, const Order&) = default;
};

// The fate of the object that a path named, by all changes since.
struct Resolution {
  enum class Kind { stays, moves, ends };
  Kind kind = Kind::stays;
  std::string path;  // its current path, if it moves
  Order last;        // the last change that concerned it, if any
};

// An access names an object by a path and a time. Moves give the object other paths; removals end it. The functions
// below translate between the paths of an object, in any order of arrival. An access at time T comes before all changes
// at T.
//
// Guarantee: the remembered changes are the latest ones without a gap. A remembered change that comes again is
// recognized by its time, its paths and its effect. Two different changes are two, even at one time.
//
// Not covered:
// - a change that comes later than another by more than the retention;
// - a change that is forgotten and comes again: it is taken for a new one.
//
// Bounds: a change is remembered for the retention after its arrival. It stays for at most as long again while an
// earlier one that arrived later is remembered. Beyond the bytes the earliest are forgotten, but the latest stays.
//
// One owner.
class RenameHistory {
 public:
  explicit RenameHistory(const HistoryLimits& limits) : limits_{limits} {}
  RenameHistory(const RenameHistory&) = delete;
  RenameHistory& operator=(const RenameHistory&) = delete;

  // Whether the change is remembered.
  [[nodiscard]] bool knows(const Move& move) const;
  [[nodiscard]] bool knows(const Removal& removal) const;

  // Remembers a change that is not known, and returns its order. Neither path of a move lies within the other.
  Order remember(const Move& move, Clock::Instant now);
  Order remember(const Removal& removal, Clock::Instant now);

  // The order that a change at `time` would get now.
  [[nodiscard]] Order next(Time time) const noexcept { return {time, sequence_ + 1}; }

  // Forgets changes that are too old.
  void forget(Clock::Instant now);

  // Follows the object that was at `path` at `time`. A move takes along everything at and below its path, and ends
  // everything at and below its target.
  [[nodiscard]] Resolution follow(std::string_view path, Time time) const;

  // Returns the path at `time` of the object that is at `path` now, by the changes up to the sequence `seen`. The
  // object existed at `time`.
  [[nodiscard]] std::string origin(std::string_view path, Time time, std::uint64_t seen = kAll) const;

  // Whether no change after `time` concerns anything at, below or above `path`.
  [[nodiscard]] bool untouched_since(std::string_view path, Time time) const;

  // Returns where objects at or below `path` at `time` might be now, each with all below it.
  [[nodiscard]] std::vector<std::string> destinations(std::string_view path, Time time) const;

  // Returns where objects at or below `path` at `time` might have been before, each with all below it.
  [[nodiscard]] std::vector<std::string> sources(std::string_view path, Time time) const;

  [[nodiscard]] bool remembers(Order order) const { return changes_.contains(order); }

  // The sequence of the latest arrival.
  [[nodiscard]] std::uint64_t last_sequence() const noexcept { return sequence_; }

  [[nodiscard]] std::size_t size() const noexcept { return changes_.size(); }
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }

 private:
  static constexpr std::uint64_t kAll = ~std::uint64_t{0};

  struct NameEffect {
    enum class Kind { moves, replaces, removes_one, removes_subtree };
    Kind kind;
    const std::string* other;  // a key of names_: the target if it moves, the source if it replaces
  };
  using NameEffects = std::map<Order, NameEffect>;
  using Names = std::map<std::string, NameEffects, std::less<>>;
  struct Change {
    Clock::Instant arrival;
    Names::iterator path;
    std::optional<Names::iterator> target;
  };
  struct PrefixEffect {
    Order order;
    std::size_t size;  // of the prefix concerned
    NameEffect effect;
  };
  struct Arrival {
    Clock::Instant moment;
    Order order;
  };
  class Trace;

  [[nodiscard]] bool has_effect(std::string_view path, Time time, NameEffect::Kind kind, std::string_view other) const;
  Names::iterator name(std::string_view path);
  void drop_name(Names::iterator name, Order order);
  Order add_change(const Change& change, Time time);
  void trim();
  void drop(std::map<Order, Change>::iterator change);
  static std::size_t bytes_of(const Change& change);
  template <class Visit>
  void visit_prefixes(std::string_view path, const Visit& visit) const;
  template <class Visit>
  void visit_below(std::string_view path, const Visit& visit) const;
  [[nodiscard]] std::optional<PrefixEffect> first_step(std::string_view path, Order from, bool moves_only) const;
  [[nodiscard]] std::optional<PrefixEffect> last_move_here(std::string_view path, Order from, Order until,
                                                           std::uint64_t seen) const;

  HistoryLimits limits_;
  std::size_t bytes_ = 0;
  std::uint64_t sequence_ = 0;
  Names names_;                                                      // every path that a change names
  std::unordered_multimap<std::uint64_t, Names::iterator> by_hash_;  // of the components
  std::map<Order, Change> changes_;
  std::deque<Arrival> arrivals_;  // some of their changes are forgotten
};

}  // namespace qatime::backlog
