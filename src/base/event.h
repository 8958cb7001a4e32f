// SPDX-License-Identifier: MIT
// The meaning of an audit record for access times.
#pragma once

#include <span>
#include <string_view>
#include <variant>

#include "base/timestamp.h"

namespace qatime {

// Paths are bytes in the form that path.h calls normal. They are borrowed: the maker of an event says how long they
// live, and code that keeps an event copies them.

// The object at `path` was accessed at `time`.
struct Access {
  std::string_view path;
  Time time;
};

// At `time` the object at `path`, and all below it, moved to `target`. The object that `target` named before is gone.
struct Move {
  std::string_view path;
  std::string_view target;
  Time time;
};

// At `time` the object at `path` was removed; with `subtree`, all below it too.
struct Removal {
  std::string_view path;
  bool subtree = false;
  Time time;
};

using Event = std::variant<Access, Move, Removal>;
using Events = std::span<const Event>;

}  // namespace qatime
