// SPDX-License-Identifier: MIT
// The metrics as text for Prometheus.
#pragma once

#include <string>

#include "telemetry/metrics.h"

namespace qatime::admin {

inline constexpr const char* kExpositionType = "text/plain; version=0.0.4; charset=utf-8";

// Returns text format 0.0.4 of prometheus.io/docs/instrumenting/exposition_formats: the metrics of the registry, its
// nodes, this process, whether the daemon is ready, and the build. Any thread.
[[nodiscard]] std::string expose(const metrics::Registry& registry, bool is_ready = true);

}  // namespace qatime::admin
