// SPDX-License-Identifier: MIT
//
// One turn after the other: leases, what has its outcome, what has come, changes of names, what there is to be applied.
// Each step is a burst of commands that is waited for, and everything can be done twice, so whatever breaks in between,
// the next turn begins again.
//
// Leases. Each instance says every second that it lives. Of n instances, in the order of their names, the i-th wants
// the shards whose number is i modulo n, and gives up others. A lease is held for three quarters of `redis.lease`, and
// an instance is taken for living for half of it, so that the shards of one that died have another owner within it.
//
// A shard is read by rank, the oldest first: Scan says how. Pages are read before the log of changes is read to its
// end, and offered afterwards: so what was renamed before a page was read is known by its new name.
//
// Sweeps. The log of changes can be cut off where all that waits has been through them: some time after there are a
// hundredth as many changes as members, a shard is read once, and each member that a change has concerned gets the name
// that its object has by now, with the moment from which it has it.
#include "backlog/redis/worker.h"

#include <algorithm>
#include <cassert>
#include <charconv>
#include <deque>
#include <random>
#include <utility>

#include <fmt/core.h>
#include <pthread.h>

#include "backlog/codec.h"
#include "backlog/logger.h"

namespace qatime::backlog::redis {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

constexpr std::size_t kMembers = 128;         // in one ZADD
constexpr std::size_t kSettled = 4096;        // in one burst
constexpr std::size_t kHandedOver = 8 << 20;  // bytes of batches in one burst
constexpr std::size_t kPage = 512;            // members
constexpr std::chrono::microseconds kLeastPoll{1'000};
constexpr std::chrono::microseconds kMostPoll{20'000};
constexpr auto kLeastRest = 10ms;  // between reading a shard in vain and reading it again
constexpr auto kMostRest = 2s;
constexpr auto kReplicaRest = 1s;
constexpr auto kSweepEvery = 5s;
constexpr auto kLateness = 60s;  // a change is remembered for so long for what comes late
constexpr std::size_t kMembersPerChange = 100;
constexpr std::size_t kManyChanges = 50'000;
constexpr int kScansPerTurn = 8;
constexpr auto kFirstRetry = 100ms;
constexpr auto kLastRetry = 3s;

// Nobody else has it.
std::string make_instance() {
  std::random_device random;
  return fmt::format("{:08x}{:08x}{:08x}{:08x}", random(), random(), random(), random());
}

milliseconds io_timeout(const RedisConfig& config) { return std::clamp<milliseconds>(config.lease / 4, 500ms, 5s); }

// The milliseconds of an id of a stream.
std::int64_t milliseconds_of(std::string_view id) {
  std::int64_t value = 0;
  std::from_chars(id.data(), id.data() + id.size(), value);
  return value;
}

Clock::Instant arrival(std::int64_t time) { return Clock::Instant{milliseconds{time}}; }

}  // namespace

Worker::Worker(const RedisConfig& config, Window& window, Outbox& outbox, metrics::Registry& registry,
               std::function<void()> wake)
    : config_{config},
      keys_{config.prefix, static_cast<unsigned>(config.shards)},
      agreed_shards_{fmt::format("{{{}}}:shards", config.prefix)},
      instance_{make_instance()},
      window_{window},
      outbox_{outbox},
      degraded_{registry.degraded("redis")},
      bulletin_{registry.bulletin()},
      held_shards_{registry.gauge("qatime_redis_shards", "Shards of the shared backlog that this instance works on")},
      instances_{registry.gauge("qatime_redis_instances", "Instances that work on the shared backlog")},
      reconnects_{registry.counter("qatime_redis_reconnects_total", "How often the connection to Redis was lost")},
      wake_{std::move(wake)},
      servers_{config, io_timeout(config)},
      backoff_{kFirstRetry, kLastRetry},
      scans_(config.shards),
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
  const std::lock_guard lock{mutex_};
  is_poked_ = true;
  changed_.notify_all();
}

void Worker::begin_stop(milliseconds limit) {
  const std::lock_guard lock{mutex_};
  is_stopping_ = true;
  deadline_ = std::chrono::steady_clock::now() + limit;
  changed_.notify_all();
}

bool Worker::is_done() const {
  const std::lock_guard lock{mutex_};
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
  const std::lock_guard lock{mutex_};
  is_done_ = true;
}

// Returns whether to go on.
bool Worker::wait() {
  std::unique_lock lock{mutex_};
  const auto pause = failures_ > 0 ? std::chrono::microseconds{backoff_.delay(failures_ - 1)} : poll_;
  const auto is_over = [this] {
    return is_stopping_ && (outbox_.is_empty() || std::chrono::steady_clock::now() >= deadline_);
  };
  changed_.wait_for(lock, pause, [&] { return (is_poked_ && failures_ == 0) || is_over(); });
  is_poked_ = false;
  return !is_over();
}

void Worker::turn() {
  connect();
  const auto now = std::chrono::steady_clock::now();
  if (now >= next_leases_) hold_leases();
  settle();
  hand_over();
  const bool has_more = fill();
  sweep();
  poll_ = has_more ? kLeastPoll : std::min(poll_ * 3 / 2, kMostPoll);
}

void Worker::connect() {
  if (servers_.is_connected()) return;
  servers_.connect();
  agree_on_shards();
  for (Scan& scan : scans_) scan = {};
  next_leases_ = {};
  const bool is_another = servers_.take_news();
  outbox_.hand_out_again(is_another);
  if (degraded_.value() != 0 || failures_ > 0) kLog.info("connected to Redis{}", is_another ? "" : " again");
  tell_trouble({});
}

// A path must have one shard, whoever receives it.
void Worker::agree_on_shards() {
  std::string agreed;
  servers_.send(agreed_shards_, Command{"SET", agreed_shards_.name}.add(keys_.shards()).add("NX"));
  servers_.send(agreed_shards_, {"GET", agreed_shards_.name}, [&](const Reply& reply) { agreed = reply.text; });
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
    bulletin_.solve("redis", "redis.url");
  } else {
    bulletin_.raise("redis", "redis.url", text);
  }
}

void Worker::failed(const std::string& why) {
  if (failures_++ == 0) reconnects_.add();
  tell_trouble("it cannot be used, what comes waits in backlog.directory: " + why);
  settling_.shrink_to_fit();
  sweep_.reset();
  if (const auto times = throttle_.admit()) {
    kLog.error("Redis cannot be used ({} times), what comes waits in backlog.directory: {}", *times, why);
  }
}

// --- Leases ----------------------------------------------------------------------------------------------------------

void Worker::hold_leases() {
  const auto now = std::chrono::steady_clock::now();
  const milliseconds held = config_.lease * 3 / 4;
  next_leases_ = now + std::min<milliseconds>(config_.lease / 8, 1s);
  std::vector<std::string> living;
  servers_.run(Script::announce, keys_.instances(), Command{instance_}.add((config_.lease / 2).count()),
               [&](const Reply& reply) {
                 for (const Reply& each : reply.list) living.push_back(each.text);
               });
  servers_.finish();
  const auto ours = std::ranges::find(living, instance_);
  if (ours == living.end()) return;
  const auto rank = static_cast<std::size_t>(ours - living.begin());
  std::vector<bool> is_held(keys_.shards());
  const Command arguments = Command{instance_}.add(held.count());
  for (unsigned shard = 0; shard < keys_.shards(); ++shard) {
    if (shard % living.size() == rank) {
      servers_.run(Script::hold, keys_.lease(shard), arguments,
                   [&is_held, shard](const Reply& reply) { is_held[shard] = reply.number == 1; });
    } else if (window_.is_ours(shard)) {
      give_up(shard);
    }
  }
  servers_.finish();
  std::int64_t count = 0;
  for (unsigned shard = 0; shard < keys_.shards(); ++shard) {
    if (is_held[shard]) {
      if (!window_.is_ours(shard)) scans_[shard] = {};
      window_.hold(shard, now + held);
      ++count;
    } else if (window_.is_ours(shard)) {
      window_.give_up(shard);
    }
  }
  if (held_shards_.value() != count || instances_.value() != static_cast<std::int64_t>(living.size())) {
    kLog.info("works on {} of {} shards, one of {} instances", count, keys_.shards(), living.size());
  }
  held_shards_.set(count);
  instances_.set(static_cast<std::int64_t>(living.size()));
}

void Worker::give_up(unsigned shard) {
  window_.give_up(shard);
  servers_.run(Script::release, keys_.lease(shard), {instance_});
}

// What has its outcome is removed, and all leases are given up, if Redis is there.
void Worker::leave() {
  try {
    if (!servers_.is_connected()) return;
    settle();
    for (unsigned shard = 0; shard < keys_.shards(); ++shard) {
      if (window_.is_ours(shard)) give_up(shard);
    }
    servers_.send(keys_.instances(), {"ZREM", keys_.instances().name, instance_});
    servers_.finish();
    held_shards_.set(0);
  } catch (const Unavailable& error) {
    failed(error.what());
  }
}

// --- Outcomes --------------------------------------------------------------------------------------------------------

void Worker::settle() {
  while (!settling_.empty() || window_.has_settled()) {
    if (settling_.empty()) settling_ = window_.take_settled(kSettled);
    std::ranges::stable_sort(settling_, {}, &Window::Settled::shard);
    std::string outcomes(settling_.size(), '0');
    for (std::size_t begin = 0, end = 0; begin < settling_.size(); begin = end) {
      Command arguments{};
      const unsigned shard = settling_[begin].shard;
      for (; end < settling_.size() && end - begin < kMembers && settling_[end].shard == shard; ++end) {
        arguments.add(settling_[end].member).add(settling_[end].score);
      }
      servers_.run(Script::settle, keys_.pending(shard), arguments,
                   [&outcomes, begin](const Reply& reply) { outcomes.replace(begin, reply.text.size(), reply.text); });
    }
    servers_.finish();
    for (std::size_t i = 0; i < settling_.size(); ++i) window_.finish(settling_[i], outcomes.at(i) != '2');
    settling_.clear();
  }
}

// --- What has come ---------------------------------------------------------------------------------------------------

void Worker::hand_over() {
  if (std::chrono::steady_clock::now() < hand_over_after_) return;
  struct Sent {
    std::shared_ptr<const Batch> batch;
    std::uint64_t added = 0;
  };
  while (true) {
    std::deque<Sent> sent;
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
      if (const auto times = throttle_.admit()) {
        kLog.error("Redis does not keep what it gets ({} times), what comes stays in backlog.directory as well: {}",
                   *times, missing);
      }
      return;
    }
    if (std::exchange(is_behind_, false)) tell_trouble({});
    for (const Sent& each : sent) outbox_.acknowledged(each.batch->sequence, each.added);
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
                  [&added](const Reply& reply) { added += static_cast<std::uint64_t>(reply.number); });
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

// --- What there is to be applied -------------------------------------------------------------------------------------

// Reads the log of changes to its end.
void Worker::read_changes() {
  for (bool more = true; more;) {
    more = false;
    servers_.send(keys_.changes(), {"XREAD", "COUNT", "1000", "STREAMS", keys_.changes().name, last_change_},
                  [&](const Reply& reply) {
                    if (reply.list.empty() || reply.list[0].list.size() < 2) return;
                    for (const Reply& item : reply.list[0].list[1].list) {
                      if (item.list.size() < 2) continue;
                      more = true;
                      last_change_ = item.list[0].text;
                      const auto& fields = item.list[1].list;
                      if (fields.size() < 2 || fields[0].text != "c") continue;
                      decode_changes(fields[1].text, [&](const Event& change) {
                        window_.learn(change, arrival(milliseconds_of(last_change_)));
                      });
                    }
                  });
    servers_.finish();
  }
}

// Returns whether something was new.
bool Worker::fill() {
  const auto now = std::chrono::steady_clock::now();
  const std::size_t room = window_.room();
  std::vector<Page> pages;
  if (room >= Window::kSize / 8) {
    const std::size_t limit = std::clamp<std::size_t>(room / keys_.shards(), 16, kPage);
    for (unsigned shard = 0; shard < keys_.shards(); ++shard) {
      if (scans_[shard].next <= now && window_.is_ours(shard)) pages.push_back({shard, limit, {}});
    }
  }
  for (Page& page : pages) {
    const Scan& scan = scans_[page.shard];
    const std::size_t begin = scan.is_whole ? scan.cursor : window_.known(page.shard);
    const Key& key = keys_.pending(page.shard);
    Command command{"ZRANGE", key.name};
    command.add(static_cast<std::int64_t>(begin))
        .add(static_cast<std::int64_t>(begin + page.limit - 1))
        .add("WITHSCORES");
    servers_.send(key, std::move(command), [&page](const Reply& reply) {
      for (std::size_t i = 0; i + 1 < reply.list.size(); i += 2) {
        const auto score = parse_score(reply.list[i + 1].text);
        if (score) page.found.push_back({reply.list[i].text, *score});
      }
    });
  }
  servers_.finish();
  read_changes();
  window_.is_current(now);
  bool has_news = false;
  for (Page& page : pages) {
    if (!page.found.empty()) has_news = true;
    read_on(page);
  }
  if (window_.take_news()) wake_();
  return has_news;
}

// Takes a page in, and decides what to read next of its shard.
void Worker::read_on(Page& page) {
  Scan& scan = scans_[page.shard];
  const auto offer = window_.offer(page.shard, page.found);
  if (!scan.is_whole) {
    if (offer.taken < page.found.size()) scan = {.is_whole = true, .next = scan.next, .rest = scan.rest};
    return;
  }
  scan.cursor += page.found.size();
  scan.is_useful = scan.is_useful || offer.taken > 0;
  if (page.found.size() == page.limit) return;
  const auto rest = scan.is_useful ? milliseconds{} : std::clamp<milliseconds>(scan.rest * 2, kLeastRest, kMostRest);
  scan = {.is_whole = false, .next = std::chrono::steady_clock::now() + rest, .rest = rest};
}

// --- Forgetting changes ----------------------------------------------------------------------------------------------

void Worker::sweep() {
  const auto now = std::chrono::steady_clock::now();
  if (sweep_) return go_on_sweeping();
  if (now >= next_sweep_) begin_sweep(now);
}

// Looks for a shard of ours that is worth it.
void Worker::begin_sweep(Instant now) {
  next_sweep_ = now + kSweepEvery;
  forget_swept();
  const std::size_t changes = window_.changes();
  if (changes == 0) return;
  std::int64_t time = 0;
  servers_.send(keys_.changes(), {"TIME"}, [&](const Reply& reply) {
    if (!reply.list.empty()) time = milliseconds_of(reply.list[0].text) * 1000;
  });
  std::vector<std::int64_t> sizes(keys_.shards());
  for (unsigned shard = 0; shard < keys_.shards(); ++shard) {
    if (!window_.is_ours(shard)) continue;
    servers_.send(keys_.pending(shard), {"ZCARD", keys_.pending(shard).name},
                  [&sizes, shard](const Reply& reply) { sizes[shard] = reply.number; });
  }
  servers_.finish();
  const std::int64_t until = time - milliseconds{kLateness}.count();
  for (unsigned tried = 0; tried < keys_.shards(); ++tried) {
    const unsigned shard = std::exchange(next_swept_, (next_swept_ + 1) % keys_.shards());
    const bool is_worth = changes >= kManyChanges ||
                          static_cast<std::size_t>(sizes[shard]) * keys_.shards() <= changes * kMembersPerChange;
    if (!window_.is_ours(shard) || !is_worth) continue;
    if (sizes[shard] > 0) {
      sweep_ = Sweep{.shard = shard, .until = until};
      return;
    }
    servers_.send(keys_.swept(), Command{"HSET", keys_.swept().name}.add(shard).add(until));
  }
  servers_.finish();
}

void Worker::go_on_sweeping() {
  assert(sweep_);
  const Key& key = keys_.pending(sweep_->shard);
  for (int i = 0; i < kScansPerTurn && sweep_; ++i) {
    std::vector<std::pair<std::string, std::string>> renamed;
    Command arguments{};
    servers_.send(key, {"ZSCAN", key.name, sweep_->cursor, "COUNT", "200"}, [&](const Reply& reply) {
      if (reply.list.size() < 2) return;
      sweep_->cursor = reply.list[0].text;
      const auto& items = reply.list[1].list;
      for (std::size_t at = 0; at + 1 < items.size(); at += 2) {
        const auto score = parse_score(items[at + 1].text);
        auto name = window_.rename(items[at].text, score.value_or(0));
        if (!name || *name == items[at].text) continue;
        arguments.add(items[at].text).add(*name);
        renamed.emplace_back(items[at].text, std::move(*name));
      }
    });
    servers_.finish();
    std::string outcomes;
    if (!renamed.empty()) {
      servers_.run(Script::rename, key, arguments, [&](const Reply& reply) { outcomes = reply.text; });
      servers_.finish();
    }
    for (std::size_t at = 0; at < outcomes.size(); ++at) {
      window_.renamed(sweep_->shard, renamed[at].first, renamed[at].second, outcomes[at] == '2');
    }
    if (sweep_->cursor != "0") continue;
    servers_.send(keys_.swept(), Command{"HSET", keys_.swept().name}.add(sweep_->shard).add(sweep_->until));
    servers_.finish();
    sweep_.reset();
    next_sweep_ = {};
  }
}

// Cuts the log off before what any shard still needs.
void Worker::forget_swept() {
  std::int64_t until = 0;
  servers_.send(keys_.swept(), {"HVALS", keys_.swept().name}, [&](const Reply& reply) {
    if (reply.list.size() < keys_.shards()) return;
    until = milliseconds_of(reply.list[0].text);
    for (const Reply& each : reply.list) until = std::min(until, milliseconds_of(each.text));
  });
  servers_.finish();
  if (until <= 0) return;
  window_.forget(arrival(until));
  servers_.send(keys_.changes(), Command{"XTRIM", keys_.changes().name, "MINID"}.add(until));
  servers_.finish();
}

}  // namespace qatime::backlog::redis
