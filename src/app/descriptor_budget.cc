// SPDX-License-Identifier: MIT
#include "app/descriptor_budget.h"

#include <algorithm>

#include <boost/asio/ip/address.hpp>
#include <sys/resource.h>

#include "admin/process.h"
#include "app/logger.h"
#include "base/log.h"

namespace qatime {
namespace {

// libnfs has one, and we have a duplicate; and the same to the MOUNT service.
constexpr std::size_t kOfNfsConnection = 4;
constexpr std::size_t kAddressesOfName = 8;
constexpr std::size_t kOfLookup = 4;       // the C library's, of one name
constexpr std::size_t kOfAdmin = 8;        // connections of pages, scrapes and status
constexpr std::size_t kOfBacklog = 8;      // of SQLite, for a commit and for salvage; the file of addresses
constexpr std::size_t kOfRedisServer = 2;  // a connection, and the next
constexpr std::size_t kOfListener = 1;     // a connection that is refused, or for which another makes room

// Those that may still be opened, at most.
std::size_t descriptors_to_come(const Config& config) {
  std::size_t count = kOfBacklog + kOfListener * config.syslog.listen.size();
  for (const NfsConfig::Server& server : config.nfs.servers) {
    boost::system::error_code error;
    (void)boost::asio::ip::make_address(server.host, error);
    const bool is_name = static_cast<bool>(error);
    count += kOfNfsConnection * config.nfs.connections * (is_name ? kAddressesOfName : 1) + (is_name ? kOfLookup : 0);
  }
  if (config.admin.listen) count += kOfAdmin;
  if (config.backlog.kind == BacklogConfig::Kind::redis) {
    count += kOfRedisServer * (1 + config.redis.sentinels.size()) + kOfLookup;
  }
  return count;
}

}  // namespace

void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

DescriptorBudget::DescriptorBudget(const Config& config) {
  const admin::Process process = admin::Process::read();
  limit_ = process.max_descriptors;
  kept_ = process.open_descriptors + descriptors_to_come(config);
}

std::size_t DescriptorBudget::connections() const noexcept { return limit_ > kept_ ? limit_ - kept_ : 1; }

void DescriptorBudget::warn(std::size_t wanted) const {
  if (connections() >= wanted) return;
  kLog.warning(
      "the limit of {} open files leaves {} for syslog connections, less than syslog.max_connections, {}: raise the "
      "hard "
      "limit to {} (LimitNOFILE= of systemd, ulimit -Hn)",
      log::field("limit", limit_), log::field("connections", connections()), wanted, kept_ + wanted);
}

}  // namespace qatime
