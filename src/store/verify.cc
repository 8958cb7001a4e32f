// SPDX-License-Identifier: MIT
#include "store/verify.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string_view>

#include <fmt/core.h>
#include <sys/file.h>

#include "store/file_descriptor.h"
#include "store/salvage.h"

namespace qatime::backlog {
namespace {

constexpr std::string_view kMagic{"SQLite format 3\0", 16};

bool is_database(const std::string& file) {
  const FileDescriptor descriptor{file, O_RDONLY};
  std::string beginning(kMagic.size(), '\0');
  const ssize_t size = ::pread(descriptor.number(), beginning.data(), beginning.size(), 0);
  return size == 0 || beginning == kMagic;
}

std::uintmax_t bytes_in(const std::string& file) {
  struct stat status{};
  return ::stat(file.c_str(), &status) == 0 ? static_cast<std::uintmax_t>(status.st_size) : 0;
}

}  // namespace

Verification verify(const std::string& directory) {
  const std::string file = directory + "/backlog.db";
  if (!identity(file)) return {};
  std::optional<FileDescriptor> lock;  // keeps a daemon from starting meanwhile
  if (identity(directory + "/lock")) lock.emplace(directory + "/lock", O_RDONLY);
  if (lock && ::flock(lock->number(), LOCK_SH | LOCK_NB) != 0) {
    return {true, fmt::format("the backlog in {} is in use by a daemon, and was not read", directory)};
  }
  Time oldest = Time::max();
  const Salvaged found = salvage(file, [&](const Batch& batch) { oldest = std::min(oldest, batch.written); });
  std::string text = fmt::format("the backlog in {}: {} batches with {} accesses, {} bytes", directory, found.batches,
                                 found.accesses, bytes_in(file) + bytes_in(file + "-wal"));
  if (found.batches > 0) text += fmt::format(", the oldest of {}", format_rfc3339(oldest));
  if (found.damaged > 0) text += fmt::format("; {} more batches are damaged", found.damaged);
  const bool readable = is_database(file);
  if (!readable) text += "; the file is damaged";
  return {found.damaged == 0 && readable, text};
}

}  // namespace qatime::backlog
