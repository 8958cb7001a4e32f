// SPDX-License-Identifier: MIT
#include "apply/outcome_counters.h"

#include <string>

#include "apply/logger.h"
#include "base/path.h"

namespace qatime::apply {

OutcomeCounters::OutcomeCounters(metrics::Registry& registry)
    : registry_{registry},
      alerts_{registry.alerts()},
      applied_{registry.counter("qatime_applied_total", "Entries whose atime was set.")},
      unchanged_{registry.counter("qatime_unchanged_total", "Entries whose atime was new enough already.")},
      ahead_{
          registry.counter("qatime_ahead_total", "Entries unchanged because the server has an atime in the future.")} {
  using nfs::Status;
  for (const auto status : {Status::noent, Status::notdir, Status::acces, Status::perm, Status::rofs,
                            Status::nametoolong, Status::inval, Status::ignored}) {
    failure(status);  // so that it shows as 0
  }
}

OutcomeCounters::FailureCounter& OutcomeCounters::failure(nfs::Status status) {
  const auto [at, added] = failures_.try_emplace(status);
  if (added) {
    at->second.counter = &registry_.counter("qatime_failed_total", "Entries given up, by the status of the server.",
                                            {"status", std::string{nfs::name(status)}});
  }
  return at->second;
}

void OutcomeCounters::ahead(std::string_view directory, std::string_view name, Time found) {
  const bool is_first = ahead_.value() == 0;
  ahead_.add();
  if (!is_first) return;
  kLog.warning(
      "{}: the server has an access time in the future, {}: a client's clock was wrong; no access is newer, so such "
      "files keep it, unless policy.repair_future = true; qatime_ahead_total counts them",
      log::field("path", join(directory, name)), log::field("atime", format_rfc3339(found)));
}

void OutcomeCounters::failed(nfs::Status status, std::string_view directory, std::string_view name) {
  auto& [counter, throttle] = failure(status);
  counter->add();
  const std::string path = join(directory, name);
  alerts_.fail(path, nfs::name(status));
  if (const std::string advice = nfs::advice(nfs::Purpose::set_one, status); !advice.empty()) {
    kLog.warning(throttle, "{}: {}: given up, {}", log::field("path", path), log::field("status", nfs::name(status)),
                 advice);
  }
  if (log::enabled(log::Level::debug)) {
    kLog.debug("{}: {}: given up", log::field("path", path), log::field("status", nfs::name(status)));
  }
}

}  // namespace qatime::apply
