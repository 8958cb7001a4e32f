// SPDX-License-Identifier: MIT
// Objects on the server, named on the command line.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "config/config.h"
#include "nfs/session.h"

namespace qatime::commands {

// Calls `act` with a session, the path and the object for every path that leads to one, and prints an error for every
// other one and for each that `act` says failed. Returns the exit status. `act` returns the status it ended with.
using OnObject = std::function<nfs::Status(nfs::Session&, const std::string& path, const nfs::Object&)>;
int for_each_object(const NfsConfig& config, const std::vector<std::string>& paths, const OnObject& on_object);

}  // namespace qatime::commands
