// SPDX-License-Identifier: MIT
// The cluster that a record comes from, by its header.
#pragma once

#include <string>
#include <string_view>

#include "telemetry/metrics.h"

namespace qatime::ingest {

// A node's host name is CLUSTER-NUMBER, and the name of a cluster may have hyphens, too. A host name without one is all
// cluster.
[[nodiscard]] std::string_view cluster_of(std::string_view host) noexcept;

// Tells when records of a second cluster come in: paths of the one would be taken for paths of the other. One thread.
class ClusterWatch {
 public:
  // `registry` outlives the watch.
  explicit ClusterWatch(metrics::Registry& registry);

  // A record is of this host.
  void see(std::string_view host);

 private:
  std::string first_;  // the cluster of the first record; empty: none yet
  bool told_ = false;
  metrics::Counter& others_;
};

}  // namespace qatime::ingest
