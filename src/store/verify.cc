// SPDX-License-Identifier: MIT
#include "store/verify.h"

#include <algorithm>
#include <cstdint>
#include <optional>

#include <fmt/core.h>
#include <sys/file.h>

#include "store/file_descriptor.h"
#include "store/log_file.h"
#include "store/salvage.h"
#include "store/state_directory.h"

namespace qatime::backlog {
namespace {

std::uintmax_t bytes_in(const std::string& file) {
  struct stat status{};
  return ::stat(file.c_str(), &status) == 0 ? static_cast<std::uintmax_t>(status.st_size) : 0;
}

}  // namespace

Verification verify(const std::string& directory) {
  refuse_place(directory);
  const std::string file = directory + "/backlog.db";
  if (!exists(file)) return {};
  std::optional<FileDescriptor> lock;  // keeps a daemon from starting meanwhile
  if (exists(directory + "/lock")) lock.emplace(directory + "/lock", O_RDONLY);
  if (lock && ::flock(lock->number(), LOCK_SH | LOCK_NB) != 0) {
    return {true, fmt::format("the backlog in {} is in use by a daemon, and was not read", directory)};
  }
  LogFile::refuse_others(file);
  Time oldest = Time::max();
  const Salvaged found = salvage(file, [&](const Batch& batch) { oldest = std::min(oldest, batch.written); });
  std::string text = fmt::format("the backlog in {}: {} batches with {} accesses, {} bytes", directory, found.batches,
                                 found.accesses, bytes_in(file) + bytes_in(file + "-wal"));
  if (found.batches > 0) text += fmt::format(", the oldest of {}", format_rfc3339(oldest));
  if (found.damaged > 0) text += fmt::format("; {} more batches are damaged", found.damaged);
  const bool readable = bytes_in(file) == 0 || first_page(file).has_value();
  if (!readable) text += "; the file is damaged";
  return {found.damaged == 0 && readable, text};
}

}  // namespace qatime::backlog
