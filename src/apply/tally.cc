// SPDX-License-Identifier: MIT
#include "apply/tally.h"

#include <string>

#include "apply/logger.h"
#include "apply/outcome.h"
#include "path.h"

namespace qatime::apply {
Tally::Tally(metrics::Registry& registry)
    : registry_{registry},
      applied_{registry.counter("qatime_applied_total", "Entries whose atime was set.")},
      unchanged_{registry.counter("qatime_unchanged_total", "Entries whose atime was at least as new already.")} {
  using nfs::Status;
  for (const auto status :
       {Status::noent, Status::notdir, Status::acces, Status::perm, Status::rofs, Status::nametoolong, Status::inval}) {
    failure(status);  // so that it shows as 0
  }
}

Tally::Failure& Tally::failure(nfs::Status status) {
  const auto [at, added] = failures_.try_emplace(status);
  if (added) {
    at->second.counter = &registry_.counter("qatime_failed_total", "Entries given up, by the status of the server.",
                                            {"status", std::string{nfs::name(status)}});
  }
  return at->second;
}

void Tally::failed(nfs::Status status, std::string_view directory, std::string_view name) {
  auto& [counter, throttle] = failure(status);
  counter->add();
  if (classify(status) == Outcome::denied) {
    if (const auto times = throttle.admit()) {
      kLog.warning("{}: {}: given up, others of the export succeed ({} such)", log::escaped(join(directory, name)),
                   nfs::name(status), *times);
      return;
    }
  }
  if (log::enabled(log::Level::debug)) {
    kLog.debug("{}: {}: given up", log::escaped(join(directory, name)), nfs::name(status));
  }
}

}  // namespace qatime::apply
