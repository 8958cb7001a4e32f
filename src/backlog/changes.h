// SPDX-License-Identifier: MIT
// The moves and removals of the last minute, for accesses that are heard of later than they happened.
#pragma once

#include <chrono>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>

#include "clock.h"
#include "event.h"
#include "timestamp.h"

namespace qatime::backlog {

// Orders changes by when they happened, and by when they came where that is equal.
struct Order {
  Time time;
  std::uint64_t sequence = 0;  // of arrival, from 1
  friend auto operator<=>(const Order&, const Order&) = default;
};

// What became of the object that a path named.
struct Fate {
  enum class Kind { stays, moves, ends };
  Kind kind = Kind::stays;
  std::string path;  // where it moves
};

// How long moves and removals are remembered.
struct Remembrance {
  Clock::Duration retention = std::chrono::seconds{60};  // from arrival
  std::size_t bytes = 16 << 20;                          // of changes at most, but the newest one always
};

// Every change is remembered as long as `limits` says. One owner.
class Changes {
 public:
  explicit Changes(const Remembrance& limits) : limits_{limits} {}
  Changes(const Changes&) = delete;
  Changes& operator=(const Changes&) = delete;

  // Neither path of a move lies within the other.
  Order remember(const Move& move, Clock::Instant now);
  Order remember(const Removal& removal, Clock::Instant now);

  // Drops what is too old.
  void forget(Clock::Instant now);

  // The fate of the object at `path` under the changes from `from` on, in their order, as far as their sequence is
  // greater than `seen`: a move takes along what lies at and below its path and ends what lies at and below its target.
  [[nodiscard]] Fate follow(std::string_view path, Order from, std::uint64_t seen = 0) const;

  // The sequence of the change that came last.
  [[nodiscard]] std::uint64_t last_sequence() const noexcept { return sequence_; }

  // Whether no change happened later than this one.
  [[nodiscard]] bool is_latest(Order order) const { return orders_.empty() || *orders_.rbegin() <= order; }

  [[nodiscard]] std::size_t size() const noexcept { return arrived_.size(); }
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }

 private:
  struct Effect {
    enum class Kind { moves, replaces, removes_one, removes_subtree };
    Kind kind;
    const std::string* target;  // of moves; the key of the target's own effects
  };
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view path) const { return std::hash<std::string_view>{}(path); }
  };
  using Effects = std::map<Order, Effect>;
  using Paths = std::unordered_map<std::string, Effects, Hash, std::equal_to<>>;
  struct Change {
    Clock::Instant arrival;
    Order order;
    const std::string* path;    // keys of paths_
    const std::string* target;  // null for a removal
  };
  struct Step {
    Order order;
    std::string_view path;
    Effect effect;
  };

  const std::string* add_effect(std::string_view path, Order order, Effect effect);
  void drop_effect(const std::string& path, Order order);
  void add_change(const Change& change);
  void drop_first();
  static std::size_t bytes_of(const Change& change);
  [[nodiscard]] std::optional<Step> first_step(std::string_view path, Order from, std::uint64_t seen) const;

  Remembrance limits_;
  std::size_t bytes_ = 0;
  std::uint64_t sequence_ = 0;
  Paths paths_;
  std::set<Order> orders_;
  std::deque<Change> arrived_;  // in the order of arrival
};

}  // namespace qatime::backlog
