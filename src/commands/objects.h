// SPDX-License-Identifier: MIT
// Objects on the server, named on the command line.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "config/config.h"
#include "nfs/session.h"

namespace qatime::commands {

// Calls `on_object` for the object of each path. Prints an error for a path without an object, and where `on_object`
// returns another status than ok. Returns the exit status: 1 if it printed an error. Throws as nfs::Session does.
using OnObject = std::function<nfs::Status(nfs::Session&, const std::string& path, const nfs::Session::Found&)>;
int for_each_object(const NfsConfig& config, const std::vector<std::string>& paths, const OnObject& on_object);

}  // namespace qatime::commands
