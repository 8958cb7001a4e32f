// SPDX-License-Identifier: MIT
#include "admin/history.h"

#include <cassert>

namespace qatime::admin {

void History::take(const metrics::Registry& registry) {
  assert(thread_.is_current());
  if (samples_.size() >= kSamples) samples_.pop_front();
  Snapshot& sample = samples_.emplace_back();
  sample.time = now();
  registry.visit([&](const metrics::Registry::Sample& each) {
    if (each.name == "qatime_pending_entries") sample.pending += each.value;
    if (each.name == "qatime_received_messages_total") sample.received += each.value;
    if (each.name == "qatime_accepted_total") sample.accepted += each.value;
    if (each.name == "qatime_applied_total") sample.applied += each.value;
  });
}

}  // namespace qatime::admin
