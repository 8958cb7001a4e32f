// SPDX-License-Identifier: MIT
// In place of all the others in a program that was built without Redis.
#include "redis/shared.h"

namespace qatime::backlog::redis {

void require(const Config& config) {
  if (config.backlog.kind != BacklogConfig::Kind::redis) return;
  throw config.error("backlog.kind", R"(must be "local": this program was built without Redis (-Dredis=disabled))");
}

std::unique_ptr<SharedBacklog> open(const Config& config, const Exports& /*exports*/, const Clock& /*clock*/,
                                    metrics::Registry& /*registry*/) {
  require(config);
  return nullptr;
}

std::vector<RedisReport> probe(const RedisConfig& /*config*/) { return {}; }

}  // namespace qatime::backlog::redis
