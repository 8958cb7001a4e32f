// SPDX-License-Identifier: MIT
// The task of one entry in flight: its steps so far.
#pragma once

#include <cstddef>
#include <list>
#include <memory>
#include <memory_resource>
#include <optional>
#include <string>

#include "apply/breaker.h"
#include "backlog/backlog.h"
#include "base/clock.h"
#include "base/timestamp.h"
#include "nfs/client.h"

namespace qatime::apply {

struct Task {
  std::size_t export_index = 0;
  std::shared_ptr<const std::string> directory;
  backlog::Entry entry;
  bool is_probe = false;  // of the export's root; the entry's time is the atime found there, its ticket is none
  Breaker::Stamp taken = 0;
  Breaker::Stamp sent = 0;  // its SETATTR

  nfs::Handle parent;  // of `directory`
  nfs::Handle object;
  Clock::Instant looked{};       // when it was found under its name
  Time found{};                  // its atime, when it was last seen
  std::optional<Time> guard;     // ctime that the SETATTR requires
  std::optional<Time> rejected;  // the guard of the last SETATTR, where it met NOT_SYNC
  bool is_recalled = false;      // was not looked up, but known from a moment ago
  bool is_doubtful = false;      // its name may mean another object since it was taken
  bool unguarded = false;        // goes without a guard, after too many NOT_SYNC or since the server takes none
  bool guard_refused = false;    // a SETATTR with a guard met an error that one without it may not meet
  unsigned looks = 0;            // resolutions after a stale handle
  unsigned not_syncs = 0;        // in a row

  nfs::Status status = nfs::Status::ok;  // of the failure that a verdict is awaited for
  std::pmr::list<Task>::iterator self;
};

}  // namespace qatime::apply
