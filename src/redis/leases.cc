// SPDX-License-Identifier: MIT
#include "redis/leases.h"

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <random>
#include <utility>

#include <fmt/core.h>

#include "store/logger.h"

namespace qatime::backlog::redis {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

// Nobody else has it.
std::string make_instance() {
  std::random_device random;
  return fmt::format("{:08x}{:08x}{:08x}{:08x}", random(), random(), random(), random());
}

// No record comes so late.
constexpr auto kAddressesKept = 7 * 24h;

// Of members and scores in turn. Leaves out members that are no addresses.
std::vector<OwnAddress> addresses_of(const RedisReply& reply) {
  std::vector<OwnAddress> addresses;
  for (std::size_t i = 0; i + 1 < reply.list.size(); i += 2) {
    const auto address = parse_address(reply.list[i].text);
    const auto until = parse_score(reply.list[i + 1].text);
    if (address && until) addresses.push_back({*address, from_score(*until)});
  }
  return addresses;
}

}  // namespace

Leases::Leases(const RedisConfig& config, const Keys& keys, Servers& servers, Claims& claims,
               metrics::Registry& registry)
    : lease_{config.lease},
      held_{lease_ * 3 / 4},
      instance_{make_instance()},
      keys_{keys},
      servers_{servers},
      claims_{claims},
      held_shards_{registry.gauge("qatime_redis_shards", "Shards of the shared backlog that this instance works on")},
      instances_{registry.gauge("qatime_redis_instances", "Instances that work on the shared backlog")} {}

void Leases::share_addresses(OurAddresses ours, AllAddresses all) {
  ours_ = std::move(ours);
  all_ = std::move(all);
}

std::vector<unsigned> Leases::hold() {
  assert(thread_.is_current());
  const auto now = std::chrono::steady_clock::now();
  if (now < next_) return {};
  next_ = now + std::min<milliseconds>(lease_ / 8, 1s);
  const std::vector<std::string> living = announce();
  const auto ours = std::ranges::find(living, instance_);
  if (ours == living.end()) return {};
  const auto rank = static_cast<std::size_t>(ours - living.begin());
  std::vector<bool> is_held(keys_.shards());
  const Command arguments = Command{instance_}.add(held_.count());
  for (unsigned shard = 0; shard < keys_.shards(); ++shard) {
    if (shard % living.size() == rank) {
      servers_.run(Script::hold, keys_.lease(shard), arguments,
                   [&is_held, shard](const RedisReply& reply) { is_held[shard] = reply.number == 1; });
    } else if (claims_.is_ours(shard)) {
      give_up(shard);
    }
  }
  servers_.finish();
  std::vector<unsigned> gained;
  std::int64_t count = 0;
  for (unsigned shard = 0; shard < keys_.shards(); ++shard) {
    if (is_held[shard]) {
      if (!claims_.is_ours(shard)) gained.push_back(shard);
      claims_.hold(shard, now + held_);
      ++count;
    } else if (claims_.is_ours(shard)) {
      claims_.give_up(shard);
    }
  }
  if (held_shards_.value() != count || instances_.value() != static_cast<std::int64_t>(living.size())) {
    kLog.info("works on {} of {} shards, one of {} instances", count, keys_.shards(), living.size());
  }
  held_shards_.set(count);
  instances_.set(static_cast<std::int64_t>(living.size()));
  return gained;
}

// Says that we live; returns who does, in the order of their names.
std::vector<std::string> Leases::announce() {
  std::vector<std::string> living;
  exchange_addresses();
  servers_.run(Script::announce, keys_.instances(), Command{instance_}.add((lease_ / 2).count()),
               [&](const RedisReply& reply) {
                 for (const RedisReply& each : reply.list) living.push_back(each.text);
               });
  servers_.finish();
  return living;
}

void Leases::exchange_addresses() {
  const RedisKey& key = keys_.addresses();
  const auto ours = ours_();
  Command tell{"ZADD", key.name, "GT"};
  for (const OwnAddress& own : ours) tell.add(to_score(own.until)).add(format_address(own.address));
  if (!ours.empty()) servers_.send(key, std::move(tell));
  servers_.send(key, Command{"ZREMRANGEBYSCORE", key.name, "-inf"}.add(to_score(now() - kAddressesKept)));
  servers_.send(key, {"ZRANGE", key.name, "0", "-1", "WITHSCORES"},
                [this](const RedisReply& reply) { all_(addresses_of(reply)); });
}

void Leases::give_up(unsigned shard) {
  claims_.give_up(shard);
  servers_.run(Script::release, keys_.lease(shard), {instance_});
}

void Leases::leave() {
  assert(thread_.is_current());
  for (unsigned shard = 0; shard < keys_.shards(); ++shard) {
    if (claims_.is_ours(shard)) give_up(shard);
  }
  servers_.send(keys_.instances(), {"ZREM", keys_.instances().name, instance_});
  servers_.finish();
  held_shards_.set(0);
}

}  // namespace qatime::backlog::redis
