// SPDX-License-Identifier: MIT
//
// One turn after the other: leases, what has its outcome, what has come, what there is to be applied. Each step is a
// burst of commands that is waited for, and everything can be done twice, so whatever breaks in between, the next turn
// begins again.
#include "redis/worker.h"

#include <algorithm>
#include <deque>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include <fmt/core.h>
#include <pthread.h>

#include "store/codec.h"
#include "store/logger.h"

namespace qatime::backlog::redis {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

constexpr std::size_t kMembers = 128;         // in one ZADD
constexpr std::size_t kSettled = 4096;        // in one burst
constexpr std::size_t kHandedOver = 8 << 20;  // bytes of batches in one burst
constexpr std::chrono::microseconds kLeastPoll{1'000};
constexpr std::chrono::microseconds kMostPoll{20'000};
constexpr auto kReplicaRest = 1s;
constexpr auto kFirstRetry = 100ms;
constexpr auto kLastRetry = 3s;

milliseconds io_timeout(const RedisConfig& config) { return std::clamp<milliseconds>(config.lease / 4, 500ms, 5s); }

}  // namespace

Worker::Worker(const RedisConfig& config, Claims& claims, Outbox& outbox, metrics::Registry& registry,
               std::function<void()> wake)
    : keys_{config.prefix, static_cast<unsigned>(config.shards)},
      agreed_shards_{fmt::format("{{{}}}:shards", config.prefix)},
      claims_{claims},
      outbox_{outbox},
      degraded_{registry.degraded("redis")},
      alerts_{registry.alerts()},
      reconnects_{registry.counter("qatime_redis_reconnects_total", "How often the connection to Redis was lost")},
      wake_{std::move(wake)},
      servers_{config, io_timeout(config)},
      leases_{config, keys_, servers_, claims_, registry},
      reader_{keys_, servers_, claims_},
      sweeper_{keys_, servers_, claims_},
      backoff_{kFirstRetry, kLastRetry},
      poll_{kLeastPoll} {}

Worker::~Worker() {
  if (!thread_.joinable()) return;
  begin_stop(0ms);
  thread_.join();
}

void Worker::start() {
  thread_ = std::thread{[this] { run(); }};
}

void Worker::poke() {
  const MutexLock lock{mutex_};
  is_poked_ = true;
  changed_.notify_all();
}

void Worker::begin_stop(milliseconds limit) {
  const MutexLock lock{mutex_};
  is_stopping_ = true;
  deadline_ = std::chrono::steady_clock::now() + limit;
  changed_.notify_all();
}

bool Worker::is_done() const {
  const MutexLock lock{mutex_};
  return is_done_ || (is_stopping_ && std::chrono::steady_clock::now() >= deadline_);
}

void Worker::run() {
  pthread_setname_np(pthread_self(), "redis");
  do {
    try {
      turn();
      failures_ = 0;
    } catch (const Unavailable& error) {
      failed(error.what());
    }
  } while (wait());
  leave();
  const MutexLock lock{mutex_};
  is_done_ = true;
}

// Returns whether to go on.
bool Worker::wait() {
  const MutexLock lock{mutex_};
  const auto pause = failures_ > 0 ? std::chrono::microseconds{backoff_.delay(failures_ - 1)} : poll_;
  changed_.wait_for(mutex_, pause,
                    [this]() QATIME_REQUIRES(mutex_) { return (is_poked_ && failures_ == 0) || is_over(); });
  is_poked_ = false;
  return !is_over();
}

bool Worker::is_over() const {
  return is_stopping_ && (outbox_.is_empty() || std::chrono::steady_clock::now() >= deadline_);
}

void Worker::turn() {
  connect();
  for (const unsigned shard : leases_.hold()) reader_.begin_anew(shard);
  settle();
  hand_over();
  const bool has_more = reader_.fill();
  if (claims_.take_news()) wake_();
  sweeper_.sweep();
  poll_ = has_more ? kLeastPoll : std::min(poll_ * 3 / 2, kMostPoll);
}

void Worker::connect() {
  if (servers_.is_connected()) return;
  servers_.connect();
  agree_on_shards();
  reader_.begin_anew();
  leases_.begin_anew();
  const bool is_another = servers_.take_news();
  outbox_.hand_out_again(is_another);
  if (degraded_.value() != 0 || failures_ > 0) kLog.info("connected to Redis{}", is_another ? "" : " again");
  tell_trouble({});
}

// A path must have one shard, whoever receives it.
void Worker::agree_on_shards() {
  std::string agreed;
  servers_.send(agreed_shards_, Command{"SET", agreed_shards_.name}.add(keys_.shards()).add("NX"));
  servers_.send(agreed_shards_, {"GET", agreed_shards_.name}, [&](const RedisReply& reply) { agreed = reply.text; });
  servers_.finish();
  if (agreed == std::to_string(keys_.shards())) return;
  servers_.disconnect();
  throw Unavailable{
      fmt::format("the backlog there has {} shards, redis.shards says {}: all who share it must say the same", agreed,
                  keys_.shards())};
}

// Nothing: there is none.
void Worker::tell_trouble(const std::string& text) {
  degraded_.set(text.empty() ? 0 : 1);
  if (text.empty()) {
    alerts_.resolve("redis", "redis.url");
  } else {
    alerts_.raise("redis", "redis.url", text);
  }
}

void Worker::failed(const std::string& why) {
  if (failures_++ == 0) reconnects_.add();
  tell_trouble("it cannot be used, what comes waits in backlog.directory: " + why);
  sweeper_.stop();
  kLog.error(throttle_, "Redis cannot be used, what comes waits in backlog.directory: {}", why);
}

// Removes members that have their outcome, and gives up all leases, if Redis is there.
void Worker::leave() {
  try {
    if (!servers_.is_connected()) return;
    settle();
    leases_.leave();
  } catch (const Unavailable& error) {
    failed(error.what());
  }
}

// --- Outcomes --------------------------------------------------------------------------------------------------------

void Worker::settle() {
  while (!settling_.empty() || claims_.has_settled()) {
    if (settling_.empty()) settling_ = claims_.take_settled(kSettled);
    std::ranges::stable_sort(settling_, {}, &Claims::Settled::shard);
    std::string outcomes(settling_.size(), '0');
    for (std::size_t begin = 0, end = 0; begin < settling_.size(); begin = end) {
      Command arguments{};
      const unsigned shard = settling_[begin].shard;
      for (; end < settling_.size() && end - begin < kMembers && settling_[end].shard == shard; ++end) {
        arguments.add(settling_[end].member).add(settling_[end].score);
      }
      servers_.run(Script::settle, keys_.pending(shard), arguments, [&outcomes, begin](const RedisReply& reply) {
        outcomes.replace(begin, reply.text.size(), reply.text);
      });
    }
    servers_.finish();
    for (std::size_t i = 0; i < settling_.size(); ++i) claims_.finish(settling_[i], outcomes.at(i) != '2');
    settling_.clear();
  }
}

// --- What has come ---------------------------------------------------------------------------------------------------

void Worker::hand_over() {
  if (std::chrono::steady_clock::now() < hand_over_after_) return;
  struct HandedOver {
    std::shared_ptr<const Batch> batch;
    std::uint64_t added = 0;
  };
  while (true) {
    std::deque<HandedOver> sent;
    std::size_t bytes = 0;
    while (bytes < kHandedOver) {
      auto batch = outbox_.next();
      if (!batch) break;
      bytes += batch->entries.size() + batch->changes.size();
      sent.push_back({std::move(batch)});
      hand_over(*sent.back().batch, sent.back().added);
    }
    if (sent.empty()) return;
    servers_.finish();
    const std::string missing = servers_.wait_for_replicas();
    if (!missing.empty()) {
      outbox_.hand_out_again(false);
      hand_over_after_ = std::chrono::steady_clock::now() + kReplicaRest;
      tell_trouble("it does not keep what it gets, what comes stays in backlog.directory as well: " + missing);
      is_behind_ = true;
      kLog.error(throttle_, "Redis does not keep what it gets, what comes stays in backlog.directory as well: {}",
                 missing);
      return;
    }
    if (std::exchange(is_behind_, false)) tell_trouble({});
    for (const HandedOver& each : sent) outbox_.acknowledged(each.batch->sequence, each.added);
  }
}

// Changes first: what is taken from now on has been through them.
void Worker::hand_over(const Batch& batch, std::uint64_t& added) {
  if (!batch.changes.empty()) {
    servers_.send(keys_.changes(), {"XADD", keys_.changes().name, "*", "c", batch.changes});
  }
  AccessDecoder accesses{batch.entries};
  std::string_view directory;
  unsigned shard = shard_of(directory, keys_.shards());
  std::optional<Command> command;
  unsigned command_shard = 0;
  std::size_t members = 0;
  std::string path;
  const auto send = [&] {
    if (!command) return;
    servers_.send(keys_.pending(command_shard), std::move(*command),
                  [&added](const RedisReply& reply) { added += static_cast<std::uint64_t>(reply.number); });
    command.reset();
  };
  while (accesses.next()) {
    if (accesses.directory().data() != directory.data()) {
      directory = accesses.directory();
      shard = shard_of(directory, keys_.shards());
    }
    if (!command || command_shard != shard || members == kMembers) {
      send();
      command = Command{"ZADD", keys_.pending(shard).name, "GT"};
      command_shard = shard;
      members = 0;
    }
    path.assign(directory);
    if (directory.size() > 1) path += '/';
    path += accesses.name();
    command->add(to_score(accesses.time())).add(path);
    ++members;
  }
  send();
}

}  // namespace qatime::backlog::redis
