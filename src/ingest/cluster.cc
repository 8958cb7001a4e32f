// SPDX-License-Identifier: MIT
#include "ingest/cluster.h"

#include <cstddef>
#include <span>

#include "base/address.h"
#include "ingest/logger.h"

namespace qatime::ingest {
namespace {

// RFC 5424 section 6.2.4: no HOSTNAME is longer.
constexpr std::size_t kLongest = 255;

}  // namespace

std::string_view cluster_of(std::string_view host) noexcept {
  if (is_host_address(host)) return {};
  host = host.substr(0, host.find('.'));
  return host.substr(0, host.rfind('-'));
}

// The first character tells most names from addresses at once.
bool is_host_address(std::string_view host) noexcept {
  const bool may_be =
      !host.empty() && (host.find(':') != std::string_view::npos || (host.front() >= '0' && host.front() <= '9'));
  return may_be && parse_address(host).has_value();
}

ClusterWatch::ClusterWatch(metrics::Registry& registry)
    : others_{registry.counter("qatime_other_cluster_records_total",
                               "Records of another cluster than the first, while policy.clusters is empty.")} {}

void ClusterWatch::see(std::string_view host) {
  const std::string_view cluster = cluster_of(host).substr(0, kLongest);
  if (cluster == first_ || cluster.empty() || same_.has(cluster)) return;
  if (first_.empty()) {
    first_ = cluster;
    same_ = NameSet{std::span{&first_, 1}};
    return;
  }
  others_.add();
  if (told_) return;
  told_ = true;
  kLog.warning("records of a second cluster, {}, come in besides those of {}: name ours in policy.clusters",
               log::field("cluster", cluster), log::field("first", first_));
}

}  // namespace qatime::ingest
