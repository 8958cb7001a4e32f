// SPDX-License-Identifier: MIT
// Probes of servers: whether their exports can be mounted, and times set there.
#pragma once

#include <string>
#include <vector>

#include "config/config.h"

namespace qatime::atime {

// Sets the atime of every export's root to its present value, as set() does, on the first server that gives
// the export. Throws Unreachable if that is not possible.
void expect_writable(const NfsConfig& config);

// The outcome of trying one export on one server.
struct ProbeReport {
  std::string server;  // address, and port if one is configured
  std::string path;    // the export as it is mounted
  bool ok = false;
  std::string message;  // one line: the result, and unless ok an advice
};

// Tries every export on every address of every configured server. Mounts it and sets its root's atime to the present
// value, as set() does. Only a real SETATTR shows squashed users and read-only exports. A server that gives another
// root than the first that gives the export is none of its cluster, which is not ok. If the root is denied to nfs.uid,
// who is neither root nor its owner, an object of this user is tried: one of the root's first entries. If there is
// none, the report is ok and says that it is not known whether times can be set.
[[nodiscard]] std::vector<ProbeReport> probe(const NfsConfig& config);

}  // namespace qatime::atime
