// SPDX-License-Identifier: MIT
#include "app/memory_budget.h"

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string_view>
#include <utility>

#include <sys/resource.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "admin/process.h"
#include "app/logger.h"
#include "base/log.h"

namespace qatime {
namespace {

constexpr std::uint64_t kMiB = 1 << 20;

// No machine has more; version 1 has such a number where there is no limit.
constexpr std::uint64_t kNoLimit = std::uint64_t{1} << 60;

void take_least(std::optional<MemoryLimit>& least, std::uint64_t bytes, std::string source) {
  if (bytes < (least ? least->bytes : kNoLimit)) least = {bytes, std::move(source)};
}

constexpr std::uint64_t kMappedLater = 150'000'000;  // of stacks and buffers

// The limits of a group and of all above it. A container may see its own group as the root, under whatever name.
void look_at_group(std::optional<MemoryLimit>& least, const std::filesystem::path& mount, std::filesystem::path group,
                   const char* file) {
  for (;; group = group.parent_path()) {
    const auto path = mount / group.relative_path() / file;
    std::ifstream stream{path};
    std::uint64_t bytes = 0;
    if (stream >> bytes) take_least(least, bytes, path.string());  // not of "max"
    if (!group.has_relative_path()) return;
  }
}

// By default glibc reserves 64 MiB of addresses for each thread.
void save_addresses() {
#ifdef __GLIBC__
  (void)::mallopt(M_ARENA_MAX, 1);
#endif
}

std::optional<std::uint64_t> resource_limit(int resource) {
  rlimit limit{};
  if (getrlimit(static_cast<__rlimit_resource_t>(resource), &limit) != 0) return std::nullopt;
  return limit.rlim_cur == RLIM_INFINITY ? std::nullopt : std::optional<std::uint64_t>{limit.rlim_cur};
}

}  // namespace

std::optional<MemoryLimit> control_group_limit(const std::filesystem::path& root) {
  std::optional<MemoryLimit> least;
  std::ifstream groups{root / "proc/self/cgroup"};
  for (std::string line; std::getline(groups, line);) {  // number:controllers:group
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::filesystem::path group = line.substr(second + 1);
    if (controllers.empty()) {
      look_at_group(least, root / "sys/fs/cgroup", group, "memory.max");
      look_at_group(least, root / "sys/fs/cgroup", group, "memory.high");
    } else if (("," + controllers + ",").find(",memory,") != std::string::npos) {
      look_at_group(least, root / "sys/fs/cgroup/memory", group, "memory.limit_in_bytes");
    }
  }
  return least;
}

MemoryBudget::MemoryBudget() : limit_{control_group_limit()} {
  if (const auto data = resource_limit(RLIMIT_DATA)) take_least(limit_, *data, "RLIMIT_DATA");
  const auto addresses = resource_limit(RLIMIT_AS);
  if (!addresses) return;
  save_addresses();
  const std::uint64_t without_use = admin::Process::read().virtual_bytes + kMappedLater;
  take_least(limit_, *addresses - std::min(*addresses, without_use), "RLIMIT_AS, less what is mapped without use");
}

std::size_t MemoryBudget::backlog(std::size_t wanted) const noexcept {
  if (!limit_) return wanted;
  const std::uint64_t left = limit_->bytes > 2 * kBeside ? limit_->bytes - kBeside : limit_->bytes / 2;
  return std::min<std::uint64_t>(wanted, left);
}

void MemoryBudget::tell(std::size_t wanted) const {
  if (!limit_) return;
  const std::size_t backlog = this->backlog(wanted);
  const auto limit = log::field("limit_mib", limit_->bytes / kMiB);
  const auto memory = log::field("memory_mib", backlog / kMiB);
  if (backlog == wanted) {
    return kLog.info("memory is limited to {} MiB ({}), enough for backlog.memory, {} MiB", limit, limit_->source,
                     memory);
  }
  kLog.warning(
      "memory is limited to {} MiB ({}), so the backlog has {} MiB of it instead of backlog.memory, {} MiB, and more "
      "waits on disk: raise the limit to {} MiB, or lower the key",
      limit, limit_->source, memory, wanted / kMiB, (wanted + kBeside) / kMiB + 1);
}

}  // namespace qatime
