// SPDX-License-Identifier: MIT
// The cluster that a record comes from, by its header.
#pragma once

#include <string>
#include <string_view>

#include "ingest/names.h"
#include "telemetry/metrics.h"

namespace qatime::ingest {

// Returns the cluster of a node's host name, CLUSTER-NUMBER with or without a domain. A cluster's name may contain
// hyphens. A host name without a hyphen is the cluster's name. An address names no cluster: empty.
[[nodiscard]] std::string_view cluster_of(std::string_view host) noexcept;

// Whether a relay has put an address in place of the host's name.
[[nodiscard]] bool is_host_address(std::string_view host) noexcept;

// Counts records of other clusters than the first, and warns once. qatime takes their paths for paths of the
// first. One thread.
class ClusterWatch {
 public:
  // `registry` outlives the watch.
  explicit ClusterWatch(metrics::Registry& registry);

  // Takes in the host of a record.
  void see(std::string_view host);

 private:
  std::string first_;  // the cluster of the first record; empty: none yet
  NameSet same_;       // first_ in any case
  bool told_ = false;
  metrics::Counter& others_;
};

}  // namespace qatime::ingest
