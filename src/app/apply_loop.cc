// SPDX-License-Identifier: MIT
#include "app/apply_loop.h"

#include <algorithm>
#include <cassert>
#include <chrono>

#include <boost/asio/post.hpp>

namespace qatime {
namespace {

// How long the engine is left alone when nothing happens.
constexpr std::chrono::milliseconds kTick{50};

}  // namespace

ApplyLoop::ApplyLoop(boost::asio::io_context& io, backlog::Backlog& backlog, const Clock& clock, const Config& config,
                     const Exports& exports, metrics::Registry& registry, bool dry_run)
    : io_{io},
      clock_{clock},
      client_{io, config.nfs, registry},
      engine_{backlog, client_, clock, config.nfs, exports, config.policy, registry, dry_run},
      timer_{io} {
  client_.on_change([this] { pump(); });
}

void ApplyLoop::start() {
  boost::asio::post(io_, [this] {
    started_ = true;
    pump();
    tick();
  });
}

void ApplyLoop::reconfigure(const Config& config) {
  assert(thread_.is_current());
  client_.reconfigure(config.nfs);
  engine_.reconfigure(config.policy, config.nfs.max_rate);
  pump();
}

// A wake-up that is already on its way serves for this one too.
void ApplyLoop::wake() {
  if (woken_.exchange(true)) return;
  boost::asio::post(io_, [this] {
    woken_.store(false);
    pump();
  });
}

void ApplyLoop::pump() {
  assert(thread_.is_current());
  if (started_) engine_.pump();
}

// Retries and probes fall due without anybody's call; what changes meanwhile is seen at the next tick.
void ApplyLoop::tick() {
  const auto latest = clock_.now() + kTick;
  timer_.expires_at(std::min(latest, engine_.next_deadline().value_or(latest)));
  timer_.async_wait([this](boost::system::error_code) {
    pump();
    tick();
  });
}

}  // namespace qatime
