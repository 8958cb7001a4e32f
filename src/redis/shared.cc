// SPDX-License-Identifier: MIT
#include "redis/shared.h"

#include <chrono>
#include <utility>

#include <fmt/core.h>

#include "redis/claims.h"
#include "redis/outbox.h"
#include "redis/servers.h"
#include "redis/shared_counters.h"
#include "redis/worker.h"
#include "store/store.h"

namespace qatime::backlog::redis {
namespace {

using std::chrono::milliseconds;

class Shared final : public SharedBacklog {
 public:
  Shared(const Config& config, const Exports& exports, const Clock& clock, metrics::Registry& registry)
      : counters_{registry},
        outbox_{config.backlog, static_cast<unsigned>(config.redis.shards),
                std::make_unique<Store>(config.backlog.directory), counters_, registry},
        claims_{exports, static_cast<unsigned>(config.redis.shards), config.nfs.timeout, clock, counters_, registry},
        worker_{config.redis, claims_, outbox_, registry, [this] {
                  if (wake_) wake_();
                }} {
    outbox_.on_ready([this] { worker_.poke(); });
  }

  void add(Events events) override { outbox_.add(events); }
  Slice take(std::size_t export_index, std::size_t limit) override { return claims_.take(export_index, limit); }
  Slice take_newest(std::size_t export_index, const Suits& suits) override {
    return claims_.take_newest(export_index, suits);
  }
  void take_more(Slice& slice, std::size_t limit) override { claims_.take_more(slice, limit); }
  void settle(Ticket ticket) override { claims_.settle(ticket); }
  void put_back(Ticket ticket, Clock::Instant not_before, Retry retry) override {
    claims_.put_back(ticket, not_before, retry);
  }
  bool reconsider(Ticket ticket) override { return claims_.reconsider(ticket); }
  [[nodiscard]] bool is_ours(Ticket ticket) const override { return claims_.is_held(ticket); }
  void allow_for(Clock::Duration request) override { claims_.allow_for(request); }
  bool has_invalidations() const override { return claims_.has_invalidations(); }
  Invalidations take_invalidations() override { return claims_.take_invalidations(); }
  [[nodiscard]] std::optional<Clock::Instant> next_due() const override { return claims_.next_due(); }
  [[nodiscard]] std::size_t pending() const override { return counters_.pending(); }
  void on_work(std::function<void()> wake) override { wake_ = std::move(wake); }

  [[nodiscard]] std::size_t in_flight() const override { return claims_.in_flight(); }
  [[nodiscard]] std::chrono::seconds oldest() const override { return std::max(outbox_.oldest(), claims_.oldest()); }

  void on_commit(std::function<void()> also) override { outbox_.on_commit(std::move(also)); }

  void share_addresses(Leases::OurAddresses ours, Leases::AllAddresses all) override {
    worker_.share_addresses(std::move(ours), std::move(all));
  }

  void start() override {
    outbox_.start();
    worker_.start();
  }

  void begin_stop(milliseconds limit) override {
    outbox_.begin_stop(limit);
    worker_.begin_stop(std::min<milliseconds>(limit, kHandOver));
  }

  std::optional<bool> outcome() override {
    const auto is_kept = outbox_.outcome();
    if (!is_kept || !worker_.is_done()) return std::nullopt;
    return is_kept;
  }

  [[nodiscard]] std::size_t kept() const override { return counters_.incoming(); }

 private:
  // Accesses that Redis does not take in this time wait for the next start.
  static constexpr milliseconds kHandOver{3000};

  std::function<void()> wake_;
  SharedCounters counters_;
  Outbox outbox_;
  Claims claims_;
  Worker worker_;
};

}  // namespace

void require(const Config& config) {
  if (config.backlog.kind != BacklogConfig::Kind::redis || !config.redis.url.uses_tls || has_tls()) return;
  throw config.error(
      "redis.url",
      "is rediss://, which this program cannot do: build it with hiredis 1.0 or later and its hiredis_ssl, "
      "or use redis:// through a tunnel like stunnel");
}

std::unique_ptr<SharedBacklog> open(const Config& config, const Exports& exports, const Clock& clock,
                                    metrics::Registry& registry) {
  require(config);
  return std::make_unique<Shared>(config, exports, clock, registry);
}

std::vector<RedisReport> probe(const RedisConfig& config) {
  std::vector<RedisReport> reports;
  try {
    Servers servers{config, std::chrono::seconds{5}};
    for (const auto& line : servers.describe()) reports.push_back({true, line});
    const RedisKey key{fmt::format("{{{}}}:probe", config.prefix)};
    servers.send(key, {"SET", key.name, "1", "PX", "1000"});
    servers.finish();
    const std::string missing = servers.wait_for_replicas();
    if (!missing.empty()) reports.push_back({false, missing});
  } catch (const Unavailable& error) {
    reports.push_back({false, error.what()});
  }
  return reports;
}

}  // namespace qatime::backlog::redis
