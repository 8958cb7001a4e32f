// SPDX-License-Identifier: MIT
#include <cstdio>

#include <fmt/core.h>

#include "commands/commands.h"
#include "commands/objects.h"

namespace qatime::commands {

int touch(const Touch& options) {
  const Time time = parse_time_option(options.time);
  return for_each_object(options.config.load(log::Level::warning).nfs, options.paths,
                         [&](nfs::Session& session, const std::string& path, const nfs::Object& object) {
                           const Time atime = object.attributes->atime;
                           if (atime >= time && !options.force) {
                             fmt::print(stderr, "qatime: {}: has {} already; --force sets it back\n",
                                        log::escaped(path), format_rfc3339(atime));
                             return nfs::Status::ok;
                           }
                           return session.set_atime(object.handle, time, object.attributes->ctime).status;
                         });
}

}  // namespace qatime::commands
