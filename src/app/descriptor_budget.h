// SPDX-License-Identifier: MIT
// The share of the limit of open files that senders may have.
#pragma once

#include <cstddef>

#include "config/config.h"

namespace qatime {

// Raises the soft limit of open files to the hard one. Every connection is a descriptor, and the usual soft limit is
// there for select(2), which nothing here uses.
void raise_descriptor_limit();

// How the limit of open files is divided, as of its construction: what is open then and may still be opened for NFS
// servers, names, the backlog, Redis and administrators is kept; syslog connections may have the rest. Immutable.
class DescriptorBudget {
 public:
  explicit DescriptorBudget(const Config& config);

  // Returns how many syslog connections may be open: at least 1.
  [[nodiscard]] std::size_t connections() const noexcept;

  // Logs a warning with figures, and what to do, if that is less than `wanted`, which is syslog.max_connections.
  void warn(std::size_t wanted) const;

 private:
  std::size_t limit_;
  std::size_t kept_;
};

}  // namespace qatime
