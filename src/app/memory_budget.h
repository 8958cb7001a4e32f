// SPDX-License-Identifier: MIT
// The share of the limits of memory that the backlog may have.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>

namespace qatime {

// A limit beyond which the kernel kills this process, or refuses it memory.
struct MemoryLimit {
  std::uint64_t bytes = 0;
  std::string source;  // for people: a file, or a name of getrlimit(2)
};

// Returns the least limit of the control groups that this process is in, of both versions (the kernel's
// admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst). `root` is that of the file system.
[[nodiscard]] std::optional<MemoryLimit> control_group_limit(const std::filesystem::path& root = "/");

// The least limit of memory, as of its construction: of control groups, RLIMIT_DATA and RLIMIT_AS. Immutable. Has glibc
// reserve fewer addresses where those are limited, so make it before there are threads.
class MemoryBudget {
 public:
  // Memory that qatime needs beside the backlog (conf/README.md, "Size it").
  static constexpr std::uint64_t kBeside = 100'000'000;

  MemoryBudget();
  explicit MemoryBudget(std::optional<MemoryLimit> limit) : limit_{std::move(limit)} {}

  // Returns the bytes of memory that the backlog may have: `wanted`, which is backlog.memory, or the part of the limit
  // that is left. Of a limit below 2 * kBeside that is half.
  [[nodiscard]] std::size_t backlog(std::size_t wanted) const noexcept;

  // Logs the limit and backlog(wanted), if there is a limit: as a warning if that is less than `wanted`.
  void tell(std::size_t wanted) const;

 private:
  std::optional<MemoryLimit> limit_;
};

}  // namespace qatime
