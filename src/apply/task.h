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
  bool is_probe = false;  // of the export's root: the entry has no ticket, and its time is the root's atime
  Breaker::Stamp taken = 0;
  Breaker::Stamp sent = 0;  // of its SETATTR

  nfs::Handle parent;  // of `directory`
  nfs::Handle object;
  Clock::Instant looked{};       // when LOOKUP found it under its name
  Time found{};                  // its atime, as last seen
  std::optional<Time> guard;     // the ctime that the SETATTR requires
  std::optional<Time> rejected;  // the guard of the last SETATTR, if it met NOT_SYNC
  bool is_recalled = false;      // comes from the hot file cache, without a LOOKUP
  bool is_doubtful = false;      // since it was taken, its name might mean another object
  bool unguarded = false;        // sends no guard: after too many NOT_SYNC, or because the server supports none
  bool guard_refused = false;    // a SETATTR with a guard met an error that might not come without it
  unsigned looks = 0;            // resolutions after a stale handle
  unsigned not_syncs = 0;        // in a row

  nfs::Status status = nfs::Status::ok;  // of the failure on which a verdict is pending
  std::pmr::list<Task>::iterator self;
};

}  // namespace qatime::apply
