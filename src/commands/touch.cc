// SPDX-License-Identifier: MIT
#include <cstdio>
#include <optional>

#include <fmt/core.h>

#include "atime/set.h"
#include "commands/commands.h"
#include "commands/objects.h"

namespace qatime::commands {

int touch(const TouchOptions& options) {
  const Time time = parse_time_option("--time", options.time, now());
  return for_each_object(options.config.load(log::Level::warning).nfs, options.paths,
                         [&](nfs::Session& session, const std::string& path, const nfs::Session::Found& walk) {
                           return atime::set(
                               session, walk.export_index, walk.object,
                               [&](const nfs::Attributes& found) -> std::optional<Time> {
                                 if (found.atime < time || options.force) return time;
                                 log::write_plain(fmt::format("qatime: {}: has {} already; --force sets it back\n",
                                                              log::escaped(path), format_rfc3339(found.atime)));
                                 return std::nullopt;
                               });
                         });
}

}  // namespace qatime::commands
