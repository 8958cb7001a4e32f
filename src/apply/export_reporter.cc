// SPDX-License-Identifier: MIT
#include "apply/export_reporter.h"

#include <string>

#include "apply/logger.h"
#include "nfs/status.h"

namespace qatime::apply {
namespace {

// Empty where the client itself says which server, and why.
std::string advice(Reason reason) {
  using nfs::Purpose;
  using nfs::Status;
  switch (reason) {
    case Reason::denied:
      return nfs::advice(Purpose::set, Status::perm);
    case Reason::read_only:
      return nfs::advice(Purpose::set, Status::rofs);
    case Reason::mapping:
      return nfs::advice(Purpose::map, Status::noent);
    case Reason::auth:
      return nfs::advice(Purpose::set, Status::auth);
    case Reason::mount:
    case Reason::unreachable:
      break;
  }
  return {};
}

}  // namespace

ExportReporter::ExportReporter(const NfsConfig::Export& subject, metrics::Registry& registry)
    : subject_{subject}, degraded_{}, alerts_{registry.alerts()} {
  for (const Reason reason : kAllReasons)
    degraded_.at(static_cast<std::size_t>(reason)) = &registry.degraded(name(reason));
}

void ExportReporter::tell(std::optional<Reason> reason) {
  if (reason_) {
    degraded_.at(static_cast<std::size_t>(*reason_))->add(-1);
    alerts_.resolve(name(*reason_), subject_.target);
  }
  if (reason) {
    degraded_.at(static_cast<std::size_t>(*reason))->add(1);
    const std::string text = advice(*reason);
    const bool is_away = *reason == Reason::unreachable;
    alerts_.raise(name(*reason), subject_.target,
                  !text.empty() ? text
                  : is_away     ? "no server answers: its accesses wait"
                                : "no server lets us mount it: its accesses wait");
  }
  reason_ = reason;
}

void ExportReporter::update(std::optional<Reason> reason, std::size_t pending, Clock::Instant now) {
  if (reason != reason_) tell(reason);
  if (!reason && said_) {
    said_ = false;
    kLog.info("export {}: resumed, {} entries pending in all", log::field("export", subject_.target),
              log::field("pending", pending));
  }
  if (!reason || now < next_line_) return;
  const std::string text = advice(*reason);
  if (text.empty()) return;
  next_line_ = now + log::Throttle::kInterval;
  said_ = true;
  kLog.warning("export {} (path {}): {}; {} entries pending in all", log::field("export", subject_.target),
               log::field("path", subject_.path), text, log::field("pending", pending));
}

}  // namespace qatime::apply
