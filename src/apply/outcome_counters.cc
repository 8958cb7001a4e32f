// SPDX-License-Identifier: MIT
#include "apply/outcome_counters.h"

#include <chrono>
#include <ctime>
#include <string>

#include "apply/logger.h"
#include "base/clock.h"
#include "base/path.h"

namespace qatime::apply {

namespace {

metrics::Histogram& delays(metrics::Registry& registry, const char* outcome) {
  return registry.histogram("qatime_access_delay_seconds",
                            "From an access, by the clock of its node, to its outcome, by ours.", {"outcome", outcome},
                            metrics::Histogram::kLong);
}

// To some milliseconds, because exact time is dear where it is asked for each entry.
Clock::Duration since(Time accessed) noexcept {
  timespec time{};
  (void)::clock_gettime(CLOCK_REALTIME_COARSE, &time);  // which Linux has since 2.6.32
  return Time{std::chrono::seconds{time.tv_sec} + std::chrono::nanoseconds{time.tv_nsec}} - accessed;
}

}  // namespace

OutcomeCounters::OutcomeCounters(metrics::Registry& registry)
    : registry_{registry},
      alerts_{registry.alerts()},
      applied_{registry.counter("qatime_applied_total", "Entries whose atime was set.")},
      unchanged_{registry.counter("qatime_unchanged_total", "Entries whose atime was new enough already.")},
      ahead_{
          registry.counter("qatime_ahead_total", "Entries unchanged because the server has an atime in the future.")},
      applied_after_{delays(registry, "applied")},
      unchanged_after_{delays(registry, "unchanged")},
      failed_after_{delays(registry, "failed")} {
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

void OutcomeCounters::applied(Time accessed) {
  applied_.add();
  applied_after_.observe(since(accessed));
}

void OutcomeCounters::unchanged(Time accessed) {
  unchanged_.add();
  unchanged_after_.observe(since(accessed));
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

void OutcomeCounters::failed(nfs::Status status, std::string_view directory, std::string_view name, Time accessed) {
  auto& [counter, throttle] = failure(status);
  counter->add();
  failed_after_.observe(since(accessed));
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
