// SPDX-License-Identifier: MIT
// The procedures of the scripted server.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "nfs/memory_tree.h"
#include "nfs/scripted_server.h"

namespace qatime::nfs::testing {

// NFS and MOUNT on a tree, and a portmapper that knows one port.
struct Service {
  // The results behind "accepted, SUCCESS" in the reply, with those faults of `action` that change results.
  [[nodiscard]] std::string execute(const Request& request, const Action& action);

  MemoryTree tree;
  std::vector<std::string> exports;  // which can be mounted; empty: any directory
  std::uint16_t port = 0;

 private:
  [[nodiscard]] std::string mnt(const Request& request, const Action& action) const;
  [[nodiscard]] std::string getattr(const Request& request, const Action& action) const;
  [[nodiscard]] std::string lookup(const Request& request, const Action& action) const;
  [[nodiscard]] std::string setattr(const Request& request, const Action& action);
  [[nodiscard]] std::string readdirplus(const Request& request, const Action& action) const;
};

}  // namespace qatime::nfs::testing
