// SPDX-License-Identifier: MIT
#include "app/memory_budget.h"

#include <filesystem>
#include <fstream>
#include <optional>
#include <string>

#include "catch.h"
#include "temporary_directory.h"

namespace qatime::memory_budget_test {
namespace {

constexpr std::size_t kMiB = 1 << 20;

// The files by which a kernel tells of control groups.
struct Kernel {
  TemporaryDirectory root;

  void write(const std::string& path, const std::string& text) const {
    const std::filesystem::path file = std::filesystem::path{root.path()} / path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream{file} << text << '\n';
  }
  [[nodiscard]] std::optional<std::uint64_t> limit() const {
    const auto found = control_group_limit(root.path());
    return found ? std::optional{found->bytes} : std::nullopt;
  }
};

std::size_t backlog(std::uint64_t limit, std::size_t wanted) {
  return MemoryBudget{MemoryLimit{limit, "a test"}}.backlog(wanted);
}

}  // namespace

TEST_CASE("Without control groups there is no limit") {
  const Kernel kernel;
  CHECK_FALSE(kernel.limit());
}

TEST_CASE("Of control groups of version 2 the least limit counts, of the own group and of those above") {
  Kernel kernel;
  kernel.write("proc/self/cgroup", "0::/system.slice/qatime.service");
  kernel.write("sys/fs/cgroup/system.slice/qatime.service/memory.max", "max");
  CHECK_FALSE(kernel.limit());
  SECTION("its own") {
    kernel.write("sys/fs/cgroup/system.slice/qatime.service/memory.max", "268435456");
    CHECK(kernel.limit() == 268435456);
    CHECK(control_group_limit(kernel.root.path())->source.ends_with("/qatime.service/memory.max"));
  }
  SECTION("one above") {
    kernel.write("sys/fs/cgroup/system.slice/qatime.service/memory.max", "268435456");
    kernel.write("sys/fs/cgroup/system.slice/memory.max", "134217728");
    CHECK(kernel.limit() == 134217728);
  }
  SECTION("beyond which the kernel slows the process down") {
    kernel.write("sys/fs/cgroup/system.slice/qatime.service/memory.high", "67108864");
    CHECK(kernel.limit() == 67108864);
  }
}

TEST_CASE("A container may see its own group as the root") {
  Kernel kernel;
  kernel.write("proc/self/cgroup", GENERATE("0::/", "0::/libpod/unknown/here"));
  kernel.write("sys/fs/cgroup/memory.max", "134217728");
  CHECK(kernel.limit() == 134217728);
}

TEST_CASE("Of control groups of version 1 that of the memory counts") {
  Kernel kernel;
  kernel.write("proc/self/cgroup", "9:name=systemd:/other\n4:cpu,memory:/docker/1\n3:cpuset:/\nnonsense\n0::/");
  kernel.write("sys/fs/cgroup/memory/docker/1/memory.limit_in_bytes", "9223372036854771712");
  CHECK_FALSE(kernel.limit());
  kernel.write("sys/fs/cgroup/memory/memory.limit_in_bytes", "167772160");
  CHECK(kernel.limit() == 167772160);
}

TEST_CASE("The backlog has what a limit leaves, and never more than is wanted") {
  CHECK(MemoryBudget{std::nullopt}.backlog(256 * kMiB) == 256 * kMiB);
  CHECK(backlog(1000 * kMiB, 256 * kMiB) == 256 * kMiB);
  CHECK(backlog(300'000'000, 256 * kMiB) == 200'000'000);
  CHECK(backlog(200'000'000, 256 * kMiB) == 100'000'000);
  CHECK(backlog(64 * kMiB, 256 * kMiB) == 32 * kMiB);
  CHECK(backlog(64 * kMiB, 16 * kMiB) == 16 * kMiB);
}

}  // namespace qatime::memory_budget_test
