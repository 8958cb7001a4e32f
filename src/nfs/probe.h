// SPDX-License-Identifier: MIT
// Probes of servers: whether their exports can be mounted, and times set there.
#pragma once

#include <string>
#include <vector>

#include "config/config.h"

namespace qatime::nfs {

// Sets the atime of the root of every export to what it is, as update_atime() does, on the server that gives it first.
// Throws Unreachable where that is not possible.
void expect_writable(const NfsConfig& config);

// The outcome of trying one export on one server.
struct ProbeReport {
  std::string server;  // address, and port if one is configured
  std::string path;    // the export as it is mounted
  bool ok = false;
  std::string message;  // what was found, and unless ok what to look at; one line
};

// Tries every export on every address of every configured server: mounts it and sets the atime of its root to what it
// is, as update_atime() does. Only a real SETATTR shows squashed users and read-only exports.
[[nodiscard]] std::vector<ProbeReport> probe(const NfsConfig& config);

}  // namespace qatime::nfs
