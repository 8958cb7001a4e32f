// SPDX-License-Identifier: MIT
// The task of one entry in flight: its steps so far.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <memory_resource>
#include <string>

#include "apply/breaker.h"
#include "apply/pipeline.h"
#include "atime/update.h"
#include "backlog/backlog.h"
#include "base/clock.h"
#include "nfs/client.h"

namespace qatime::apply {

struct Task {
  enum class Kind : std::uint8_t {
    entry,       // of the backlog
    root_probe,  // sets the atime of an export's root to itself
    repair,      // gives a directory the atime back that our own READDIRPLUS has moved
  };
  // Of the object's handle nobody else has a SETATTR in flight from `reading` on.
  enum class Phase : std::uint8_t {
    finding,       // the object, or its attributes
    waiting,       // for another task with the same object
    reading,       // the attributes, once more
    pacing,        // waits for nfs.max_rate
    setting,       // SETATTR
    reading_back,  // the attributes after it
    judged,        // held by the breaker
  };

  std::size_t export_index = 0;
  std::shared_ptr<const std::string> directory;
  backlog::Entry entry;  // of a task that is no entry the time alone
  Kind kind = Kind::entry;
  Phase phase = Phase::finding;
  Breaker::Stamp taken = 0;
  Breaker::Stamp sent = 0;  // of its SETATTR

  nfs::Handle parent;  // of `directory`
  nfs::Handle object;
  nfs::Attributes found;        // of the object, as last seen
  atime::Update update{false};  // from the first SETATTR on
  Clock::Instant looked{};      // when LOOKUP found it under its name
  bool is_recalled = false;     // comes from the hot file cache, without a LOOKUP
  bool proves_guard = false;    // would come from there if guards were known to be exact
  bool is_doubtful = false;     // since it was taken, its name might mean another object
  unsigned looks = 0;           // resolutions after a stale handle
  Pipeline::Token request{};    // of the request in flight

  nfs::Status status = nfs::Status::ok;  // of the failure on which a verdict is pending
  std::pmr::list<Task>::iterator self;
};

}  // namespace qatime::apply
