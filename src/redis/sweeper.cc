// SPDX-License-Identifier: MIT
#include "redis/sweeper.h"

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <utility>
#include <vector>

namespace qatime::backlog::redis {
namespace {

using namespace std::chrono_literals;

constexpr auto kEvery = 5s;
constexpr auto kLateness = 60s;  // a change is remembered for so long for what comes late
constexpr std::size_t kMembersPerChange = 100;
constexpr std::size_t kManyChanges = 50'000;
constexpr int kScansPerTurn = 8;

}  // namespace

void Sweeper::sweep() {
  assert(thread_.is_current());
  if (sweep_) return go_on();
  const auto now = std::chrono::steady_clock::now();
  if (now < next_) return;
  next_ = now + kEvery;
  begin();
}

// Looks for a shard of ours that is worth it.
void Sweeper::begin() {
  forget_swept();
  const std::size_t changes = claims_.changes();
  if (changes == 0) return;
  std::int64_t time = 0;
  servers_.send(keys_.changes(), {"TIME"}, [&](const RedisReply& reply) {
    if (!reply.list.empty()) time = leading_number(reply.list[0].text) * 1000;
  });
  std::vector<std::int64_t> sizes(keys_.shards());
  for (unsigned shard = 0; shard < keys_.shards(); ++shard) {
    if (!claims_.is_ours(shard)) continue;
    servers_.send(keys_.pending(shard), {"ZCARD", keys_.pending(shard).name},
                  [&sizes, shard](const RedisReply& reply) { sizes[shard] = reply.number; });
  }
  servers_.finish();
  const std::int64_t until = time - std::chrono::milliseconds{kLateness}.count();
  for (unsigned tried = 0; tried < keys_.shards(); ++tried) {
    const unsigned shard = std::exchange(next_shard_, (next_shard_ + 1) % keys_.shards());
    const bool is_worth = changes >= kManyChanges ||
                          static_cast<std::size_t>(sizes[shard]) * keys_.shards() <= changes * kMembersPerChange;
    if (!claims_.is_ours(shard) || !is_worth) continue;
    if (sizes[shard] > 0) {
      sweep_ = Sweep{.shard = shard, .until = until};
      return;
    }
    servers_.send(keys_.swept(), Command{"HSET", keys_.swept().name}.add(shard).add(until));
  }
  servers_.finish();
}

void Sweeper::go_on() {
  assert(sweep_);
  const RedisKey& key = keys_.pending(sweep_->shard);
  for (int i = 0; i < kScansPerTurn && sweep_; ++i) {
    std::vector<std::pair<std::string, std::string>> renamed;
    Command arguments{};
    servers_.send(key, {"ZSCAN", key.name, sweep_->cursor, "COUNT", "200"}, [&](const RedisReply& reply) {
      if (reply.list.size() < 2) return;
      sweep_->cursor = reply.list[0].text;
      const auto& items = reply.list[1].list;
      for (std::size_t at = 0; at + 1 < items.size(); at += 2) {
        const auto score = parse_score(items[at + 1].text);
        auto name = claims_.rename(items[at].text, score.value_or(0));
        if (!name || *name == items[at].text) continue;
        arguments.add(items[at].text).add(*name);
        renamed.emplace_back(items[at].text, std::move(*name));
      }
    });
    servers_.finish();
    std::string outcomes;
    if (!renamed.empty()) {
      servers_.run(Script::rename, key, arguments, [&](const RedisReply& reply) { outcomes = reply.text; });
      servers_.finish();
    }
    for (std::size_t at = 0; at < outcomes.size(); ++at) {
      claims_.renamed(sweep_->shard, renamed[at].first, renamed[at].second, outcomes[at] == '2');
    }
    if (sweep_->cursor != "0") continue;
    servers_.send(keys_.swept(), Command{"HSET", keys_.swept().name}.add(sweep_->shard).add(sweep_->until));
    servers_.finish();
    sweep_.reset();
    next_ = {};
  }
}

// Cuts the log off before what any shard still needs.
void Sweeper::forget_swept() {
  std::int64_t until = 0;
  servers_.send(keys_.swept(), {"HVALS", keys_.swept().name}, [&](const RedisReply& reply) {
    if (reply.list.size() < keys_.shards()) return;
    until = leading_number(reply.list[0].text);
    for (const RedisReply& each : reply.list) until = std::min(until, leading_number(each.text));
  });
  servers_.finish();
  if (until <= 0) return;
  claims_.forget(arrival(until));
  servers_.send(keys_.changes(), Command{"XTRIM", keys_.changes().name, "MINID"}.add(until));
  servers_.finish();
}

}  // namespace qatime::backlog::redis
