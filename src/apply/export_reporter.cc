// SPDX-License-Identifier: MIT
#include "apply/export_reporter.h"

#include <string>
#include <string_view>

#include "apply/logger.h"

namespace qatime::apply {
namespace {

std::string_view advice(Reason reason) noexcept {
  switch (reason) {
    case Reason::denied:
      return "permission denied: give this host root access to the export (no_root_squash; NFS_MAP_NONE on Qumulo) or "
             "set nfs.uid";
    case Reason::read_only:
      return "read-only: make the export writable for this host";
    case Reason::mapping:
      return "no audit path exists below it: correct path and export in nfs.exports";
    case Reason::auth:
      return "the server rejects our credentials: allow AUTH_SYS, and source ports above 1023, for this host";
    case Reason::mount:
    case Reason::unreachable:
      break;  // the client says which server, and why
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
    const std::string_view text = advice(*reason);
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
  if (!reason || advice(*reason).empty() || now < next_line_) return;
  next_line_ = now + log::Throttle::kInterval;
  said_ = true;
  kLog.warning("export {} (path {}): {}; {} entries pending in all", log::field("export", subject_.target),
               log::field("path", subject_.path), advice(*reason), log::field("pending", pending));
}

}  // namespace qatime::apply
