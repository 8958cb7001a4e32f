// SPDX-License-Identifier: MIT
#include <algorithm>

#include <fmt/core.h>

#include "atime/probe.h"
#include "commands/commands.h"
#include "ingest/explain.h"
#include "listen/tls.h"
#include "redis/shared.h"
#include "store/state_directory.h"
#include "store/verify.h"

namespace qatime::commands {
namespace {

void print_explanation(const std::string& line, const Config& config) {
  const ingest::Explanation explanation = ingest::explain(line, config, now());
  for (const auto& [name, value] : explanation.fields) fmt::print("{:10} {}\n", name, log::escaped(value));
  const std::string counted = explanation.reason.empty() ? "" : fmt::format(" ({})", explanation.reason);
  fmt::print("{:10} {}{}\n{:10} {}\n", "outcome", explanation.outcome, counted, "why", log::escaped(explanation.why));
}

bool print_probe(const NfsConfig& config) {
  const auto reports = atime::probe(config);
  for (const atime::ProbeReport& report : reports) {
    fmt::print("{} {} {}: {}\n", report.ok ? "ok    " : "failed", report.server, log::escaped(report.path),
               report.message);
  }
  return std::ranges::all_of(reports, &atime::ProbeReport::ok);
}

bool print_redis(const Config& config) {
  if (config.backlog.kind != BacklogConfig::Kind::redis) return true;
  bool is_right = true;
  for (const auto& report : backlog::redis::probe(config.redis)) {
    fmt::print("{} {}\n", report.ok ? "ok    " : "failed", log::escaped(report.message));
    is_right = is_right && report.ok;
  }
  return is_right;
}

}  // namespace

int check(const CheckOptions& options) {
  const Config config = options.config.load(log::Level::warning);
  if (config.syslog.uses_tls()) ingest::TlsSettings{config};  // throws if its files are not right
  if (options.record) print_explanation(*options.record, config);
  backlog::redis::require(config);
  if (options.connect) {
    const bool is_redis_right = print_redis(config);
    return print_probe(config.nfs) && is_redis_right ? 0 : 1;
  }
  if (options.record) return 0;
  const std::string& directory = config.backlog.directory;
  const auto backlog = backlog::verify(directory.empty() ? backlog::default_directory() : directory);
  fmt::print("the configuration is right\n");
  if (!backlog.text.empty()) fmt::print("{}\n", log::escaped(backlog.text));
  return backlog.right ? 0 : 1;
}

}  // namespace qatime::commands
