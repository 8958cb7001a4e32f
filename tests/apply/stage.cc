// SPDX-License-Identifier: MIT
#include "apply/stage.h"

#include <array>
#include <stdexcept>

namespace qatime::apply {
namespace {

constexpr std::uint64_t kSeed = 1;  // so that every run is like the others

NfsConfig config_for(const std::vector<std::string>& paths, std::uint32_t uid) {
  NfsConfig config;
  config.uid = uid;
  config.exports.clear();
  for (const auto& path : paths) config.exports.push_back({path, path});
  return config;
}

std::vector<std::string> paths_of(const NfsConfig& config) {
  std::vector<std::string> paths;
  for (const auto& each : config.exports) paths.push_back(each.path);
  return paths;
}

}  // namespace

Stage::Stage(std::vector<std::string> paths, bool dry_run, std::uint32_t uid)
    : Stage{paths, config_for(paths, uid), {}, dry_run} {}

Stage::Stage(const PolicyConfig& policy) : Stage{{"/"}, config_for({"/"}, 0), policy, false} {}

Stage::Stage(const NfsConfig& nfs, bool dry_run) : Stage{paths_of(nfs), nfs, {}, dry_run} {}

Stage::Stage(std::vector<std::string> paths, NfsConfig nfs, const PolicyConfig& policy, bool dry_run)
    : config{std::move(nfs)},
      exports{paths},
      client{paths},
      backlog{{}, exports, clock, registry},
      engine{backlog, client, clock, config, exports, policy, registry, dry_run, kSeed} {}

Stage Stage::without_readdirplus() {
  NfsConfig config = config_for({"/"}, 0);
  config.readdirplus = false;
  return Stage{config};
}

void Stage::access(std::string_view path, int seconds) {
  backlog.add(std::array{Event{Access{path, at(seconds)}}});
  ++accesses;
}

void Stage::removed(std::string_view path, int seconds, bool subtree) {
  if (client.exists(path)) client.remove(path);
  backlog.add(std::array{Event{Removal{path, subtree, at(seconds)}}});
}

void Stage::moved(std::string_view from, std::string_view to, int seconds) {
  client.rename(from, to);
  backlog.add(std::array{Event{Move{from, to, at(seconds)}}});
}

void Stage::run() {
  engine.pump();
  for (int turns = 0; client.deliver(); ++turns) {
    if (turns > 1'000'000) throw std::logic_error{"the engine never rests"};
  }
}

void Stage::run_for(std::chrono::milliseconds duration) {
  constexpr std::chrono::milliseconds kStep{100};
  for (run(); duration > kStep.zero(); duration -= kStep) {
    clock.advance(kStep);
    run();
  }
}

std::int64_t Stage::labelled(std::string_view metric, std::string_view label) const {
  std::int64_t value = 0;
  registry.visit([&](const metrics::Registry::Sample& sample) {
    if (sample.name == metric && sample.label.value == label) value = sample.value;
  });
  return value;
}

bool Stage::adds_up() const {
  return accesses + sum("qatime_recovered_total") ==
         sum("qatime_coalesced_total") + sum("qatime_cancelled_total") + applied() + unchanged() + failed() +
             sum("qatime_dropped_total") + static_cast<std::int64_t>(backlog.pending());
}

}  // namespace qatime::apply
