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

// Orders changes by when they happened, and by when they came where that is equal.
struct Order {
  Time time;
  std::uint64_t sequence = 0;  // of arrival, from 1
  friend auto operator<=>(const Order&, const Order&) = default;
};

// The object that a path named, by all changes since.
struct Resolution {
  enum class Kind { stays, moves, ends };
  Kind kind = Kind::stays;
  std::string path;  // where it moves
  Order last;        // the last change that concerned it, if one did
};

// What was accessed under a name at a time is an object, and changes give it other names or end it: an access at T
// comes before all changes at T. Between changes the functions below translate, whatever the order of arrival.
//
// A change is remembered from its arrival for the retention, and up to as long again while one that happened before it
// came later: as long as none comes later than another by more than the retention, what is remembered are the latest
// changes without gap. When one comes while there are more than the bytes, the earliest are forgotten.
//
// A change that comes again is known by its time, its paths and what it does to them, as long as it is remembered; it
// is taken for another one after that, since nothing tells. Two that are different are two, even at one time.
//
// One owner.
class RenameHistory {
 public:
  explicit RenameHistory(const HistoryLimits& limits) : limits_{limits} {}
  RenameHistory(const RenameHistory&) = delete;
  RenameHistory& operator=(const RenameHistory&) = delete;

  // Whether it is remembered.
  [[nodiscard]] bool knows(const Move& move) const;
  [[nodiscard]] bool knows(const Removal& removal) const;

  // Remembers a change that is not known. Neither path of a move lies within the other. Returns next() as it was.
  Order remember(const Move& move, Clock::Instant now);
  Order remember(const Removal& removal, Clock::Instant now);

  // The order of a change at `time` that would come now.
  [[nodiscard]] Order next(Time time) const noexcept { return {time, sequence_ + 1}; }

  // Drops what is too old.
  void forget(Clock::Instant now);

  // Where the object went that was at `path` at `time`: a move takes along what lies at and below its path and ends
  // what lies at and below its target.
  [[nodiscard]] Resolution follow(std::string_view path, Time time) const;

  // Where the object that is at `path` now was at `time`, when it existed; as far as changes up to the sequence `seen`
  // say.
  [[nodiscard]] std::string origin(std::string_view path, Time time, std::uint64_t seen = kAll) const;

  // Whether no change after `time` concerns anything at, below or above `path`.
  [[nodiscard]] bool untouched_since(std::string_view path, Time time) const;

  // Where things may be now, each with all below it, that were at or below `path` at `time`.
  [[nodiscard]] std::vector<std::string> destinations(std::string_view path, Time time) const;

  // Where things may have been before `time`, each with all below it, that were at or below `path` at `time`.
  [[nodiscard]] std::vector<std::string> sources(std::string_view path, Time time) const;

  [[nodiscard]] bool remembers(Order order) const { return changes_.contains(order); }

  // The sequence of the change that came last.
  [[nodiscard]] std::uint64_t last_sequence() const noexcept { return sequence_; }

  [[nodiscard]] std::size_t size() const noexcept { return changes_.size(); }
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }

 private:
  static constexpr std::uint64_t kAll = ~std::uint64_t{0};

  struct NameEffect {
    enum class Kind { moves, replaces, removes_one, removes_subtree };
    Kind kind;
    const std::string* other;  // the target of what moves, the path of what replaces; a key of names_
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
    std::size_t size;  // of the prefix that it concerns
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
  Names names_;                                                      // all that some change names
  std::unordered_multimap<std::uint64_t, Names::iterator> by_hash_;  // of the components
  std::map<Order, Change> changes_;
  std::deque<Arrival> arrivals_;  // some of them of changes that are forgotten
};

}  // namespace qatime::backlog
