// SPDX-License-Identifier: MIT
#include "ingest/cluster.h"

#include "ingest/logger.h"

namespace qatime::ingest {

std::string_view cluster_of(std::string_view host) noexcept { return host.substr(0, host.rfind('-')); }

ClusterWatch::ClusterWatch(metrics::Registry& registry)
    : others_{registry.counter("qatime_other_cluster_records_total",
                               "Records of another cluster than the first, while policy.clusters is empty.")} {}

void ClusterWatch::see(std::string_view host) {
  const std::string_view cluster = cluster_of(host);
  if (cluster == first_ || cluster.empty()) return;
  if (first_.empty()) {
    first_ = cluster;
    return;
  }
  others_.add();
  if (told_) return;
  told_ = true;
  kLog.warning("records of a second cluster, {}, come in besides those of {}: name ours in policy.clusters",
               log::field("cluster", cluster), log::field("first", first_));
}

}  // namespace qatime::ingest
