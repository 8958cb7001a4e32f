// SPDX-License-Identifier: MIT
#include <cstdio>

#include <fmt/core.h>
#include <unistd.h>

#include "commands/commands.h"
#include "commands/objects.h"

namespace qatime::commands {
namespace {

// A terminal gets what cannot hurt it, anything else the bytes of the name.
std::string shown(const std::string& path, bool terminal) { return terminal ? log::escaped(path) : path; }

}  // namespace

int stat(const StatOptions& options) {
  const Config config = options.config.load(log::Level::warning);
  const bool terminal = isatty(STDOUT_FILENO) == 1;
  if (terminal) fmt::print("path\tfile id\tatime\tmtime\tctime\n");
  return for_each_object(config.nfs, options.paths,
                         [&](nfs::Session&, const std::string& path, const nfs::Session::Found& found) {
                           const nfs::Attributes& a = *found.object.attributes;
                           fmt::print("{}\t{}\t{}\t{}\t{}\n", shown(path, terminal), a.file_id, format_rfc3339(a.atime),
                                      format_rfc3339(a.mtime), format_rfc3339(a.ctime));
                           return nfs::Status::ok;
                         });
}

}  // namespace qatime::commands
