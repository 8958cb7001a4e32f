// SPDX-License-Identifier: MIT
// The backlog that several qatimes share in Redis.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "backlog/backlog.h"
#include "backlog/durability.h"
#include "base/clock.h"
#include "base/own_address.h"
#include "base/path.h"
#include "config/config.h"
#include "telemetry/metrics.h"

namespace qatime::backlog::redis {

// The part of the configuration that this program cannot do, as a ConfigError: Redis, or TLS to it, that it was built
// without.
void require(const Config& config);

class SharedBacklog : public Backlog, public Durability {
 public:
  // Has `ours` asked for our addresses, and `all` told those of all instances, again and again by the thread of
  // Redis. Set before start().
  virtual void share_addresses(std::function<std::vector<OwnAddress>()> ours,
                               std::function<void(std::span<const OwnAddress>)> all) = 0;
};

// `config.backlog.directory` is set. All but `config` outlives it. Throws ConfigError; Redis may be away, and the disk
// may refuse.
[[nodiscard]] std::unique_ptr<SharedBacklog> open(const Config& config, const Exports& exports, const Clock& clock,
                                                  metrics::Registry& registry);

struct RedisReport {
  bool ok;
  std::string message;  // a line
};
// Connects, and says what is there.
[[nodiscard]] std::vector<RedisReport> probe(const RedisConfig& config);

}  // namespace qatime::backlog::redis
