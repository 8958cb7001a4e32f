// SPDX-License-Identifier: MIT
// Pending accesses as values: how they are handed out and given back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/timestamp.h"

namespace qatime::backlog {

// Names one entry from the moment it is taken until it is settled or put back.
struct Ticket {
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;
  friend bool operator==(const Ticket&, const Ticket&) = default;
};

// Earlier attempts at an entry.
struct Retry {
  unsigned attempts = 0;   // failures so far
  Clock::Instant since{};  // the first of them
  bool missed = false;     // its name was not there
  bool denied = false;     // the server let us not set it
};

struct Entry {
  Ticket ticket;
  std::string name;  // in Slice::directory; empty for the root of an export
  Time time;         // the wanted atime
  Retry retry;
};

// Whether an entry suits the caller, by its directory, its name and what happened to it before.
using Suits = std::function<bool(std::string_view directory, std::string_view name, const Retry& retry)>;

// Whether the caller takes entries of this directory now.
using Wants = std::function<bool(std::string_view directory)>;

// Some of the entries that wait in one directory. They are in flight until settled or put back.
struct Slice {
  std::size_t export_index = 0;
  std::string directory;  // normal path
  std::vector<Entry> entries;
  std::size_t left = 0;  // entries that still wait there
};

// Paths below which names might mean other objects now.
struct Invalidations {
  std::vector<std::string> paths;
  bool everything = false;  // there were too many to list
};

}  // namespace qatime::backlog
