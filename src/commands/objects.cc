// SPDX-License-Identifier: MIT
#include "commands/objects.h"

#include <cstdio>

#include <fmt/core.h>

#include "base/log.h"
#include "base/path.h"

namespace qatime::commands {

int for_each_object(const NfsConfig& config, const std::vector<std::string>& paths, const OnObject& on_object) {
  nfs::Session session{config};
  int exit_status = 0;
  const auto fail = [&](const std::string& path, std::string_view why) {
    log::write_plain(fmt::format("qatime: {}: {}\n", log::escaped(path), why));
    exit_status = 1;
  };
  for (const std::string& path : paths) {
    const auto normal = normal_path(path);
    if (!normal) {
      fail(path, "must be an absolute path without empty components, '.' and '..'");
      continue;
    }
    const auto walk = session.walk(*normal);
    if (walk.status != nfs::Status::ok) {
      fail(path, fmt::format("{} at \"{}\"", nfs::name(walk.status), log::escaped(walk.component)));
    } else if (const nfs::Status status = on_object(session, path, walk); status != nfs::Status::ok) {
      fail(path, fmt::format("{}: {}", nfs::name(status), nfs::advice(nfs::Purpose::set, status)));
    }
  }
  return exit_status;
}

}  // namespace qatime::commands
