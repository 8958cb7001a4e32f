// SPDX-License-Identifier: MIT
#include "nfs/connection.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include <fmt/core.h>

#include "nfs/logger.h"
#include "nfs/procedures.h"
#include "telemetry/alerts.h"

namespace qatime::nfs {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr milliseconds kFirstRetry{100};
constexpr seconds kLastRetry{30};
// A connection that served so long was a good one: the next begins without the backoff of those before.
constexpr seconds kSettled{1};

constexpr seconds kFirstMountRetry{1};
constexpr seconds kLastMountRetry{10};
constexpr seconds kDoubtPause{3};  // between looks at roots that stale handles have made doubtful

}  // namespace

Connection::Connection(const ClientContext& client_context, Peer& peer, std::function<void()> changed)
    : client_context_{client_context},
      peer_{peer},
      changed_{std::move(changed)},
      mounts_(client_context.config.exports.size()),
      backoff_{kFirstRetry, kLastRetry},
      mount_backoff_{kFirstMountRetry, kLastMountRetry},
      retry_{client_context.io},
      mount_retry_{client_context.io},
      silence_{client_context.io} {
  begin();
  mount_retry_.detach();
}

void Connection::begin() {
  std::vector<std::size_t> all(mounts_.size());
  for (std::size_t export_index = 0; export_index < all.size(); ++export_index) all[export_index] = export_index;
  mount(std::move(all));
}

void Connection::mount(std::vector<std::size_t> exports) {
  mount_retry_.cancel();
  mounted_at_ = std::chrono::steady_clock::now();
  mount_ = std::make_unique<Mount>(client_context_, peer_.endpoint, std::move(exports),
                                   [this](const Mount::Mounted& result) { take_mounts(result); });
}

void Connection::take_mounts(const Mount::Mounted& result) {
  mount_.reset();
  if (!result.failure.empty() && rpc_ == nullptr) return lose(result.failure);
  bool changed = false;
  for (const Mount::Root& root : result.roots) changed |= take_root(root);
  retry_refused();
  if (rpc_ == nullptr) return connect(result);
  if (changed) changed_();
}

// Whether something is different now. A root that cannot be asked for at the moment stays what it was.
bool Connection::take_root(const Mount::Root& root) {
  if (root.status == Status::lost) return false;
  MountState& export_index = mounts_[root.export_index];
  const MountState before = std::exchange(export_index, MountState{std::nullopt, root.status});
  const std::string& target = client_context_.config.exports[root.export_index].target;
  const std::string subject = fmt::format("{} {}", peer_.label, target);
  if (root.status != Status::ok) {
    client_context_.alerts.raise("mount", subject,
                                 fmt::format("{}: {}", name(root.status), advice(Purpose::mount, root.status)));
  } else {
    client_context_.alerts.resolve("mount", subject);
  }
  if (root.status == Status::ok) {
    export_index.root = root.handle;
    export_index.is_chosen = before.is_chosen && before.root == export_index.root;
    if (before.status != Status::ok) {
      kLog.info("{}: export \"{}\" mounted", log::field("server", peer_.label), log::field("export", target));
    }
  } else {
    kLog.warning(peer_.refused, "{}: export \"{}\" not mounted: {}: {}", log::field("server", peer_.label),
                 log::field("export", target), log::field("status", name(root.status)),
                 advice(Purpose::mount, root.status));
  }
  return before.root != export_index.root || before.status != export_index.status;
}

void Connection::retry_refused() {
  std::vector<std::size_t> refused;
  for (std::size_t export_index = 0; export_index < mounts_.size(); ++export_index) {
    if (!mounts_[export_index].root) refused.push_back(export_index);
  }
  if (refused.empty()) {
    mount_attempts_ = 0;
    return;
  }
  mount_retry_.set(std::chrono::steady_clock::now() + mount_backoff_.delay(mount_attempts_++),
                   [this, refused = std::move(refused)] { mount(refused); });
}

void Connection::choose(std::size_t export_index, const std::optional<Handle>& root) {
  assert(thread_.is_current());
  MountState& mount = mounts_.at(export_index);
  mount.is_chosen = is_ready() && mount.root && mount.root == root;
}

void Connection::doubt_roots() {
  assert(thread_.is_current());
  if (!is_ready() || mount_ != nullptr || std::chrono::steady_clock::now() < mounted_at_ + kDoubtPause) return;
  begin();
}

void Connection::connect(const Mount::Mounted& result) {
  rpc_ = std::make_unique<Rpc>(
      client_context_, boost::asio::ip::tcp::endpoint{peer_.endpoint.address(), result.nfs_port}, [this] { greet(); },
      [this, port = result.nfs_port](const std::string& why) {
        if (ready_ && has_settled() && rpc_->was_closed_idle()) return reopen();
        lose(fmt::format("NFS, port {}: {}", port, why));
      });
}

// An open port says little; NULL shows NFS version 3 behind it.
void Connection::greet() {
  procedures::null(*rpc_, [this](Status status, procedures::Nothing) {
    if (rpc_->is_lost_by(status)) return;  // lose() is on its way, with the reason
    if (status != Status::ok) {
      return lose(fmt::format("NFS answers {} to NULL: {}", name(status), advice(Purpose::greet, status)));
    }
    become_ready();
  });
}

void Connection::become_ready() {
  ready_ = true;
  is_reopening_ = false;
  ready_since_ = std::chrono::steady_clock::now();
  failure_.clear();
  client_context_.alerts.resolve("server", peer_.label);
  if (std::exchange(peer_.was_said_away, false)) {
    const auto mounted = std::count_if(mounts_.begin(), mounts_.end(),
                                       [](const MountState& export_index) { return export_index.root.has_value(); });
    kLog.info("{}: connected, {} of {} exports mounted", log::field("server", peer_.label),
              log::field("mounted", mounted), mounts_.size());
  }
  listen_for_silence();
  changed_();
}

void Connection::listen_for_silence() {
  silence_.set(rpc_->heard() + client_context_.intervals.silence, [this] { ask_after_silence(); });
}

// A server that has died without a word is noticed before there is work for it. The Rpc ends if there is no reply.
void Connection::ask_after_silence() {
  if (std::chrono::steady_clock::now() < rpc_->heard() + client_context_.intervals.silence) return listen_for_silence();
  procedures::null(*rpc_, [this](Status status, procedures::Nothing) {
    if (status != Status::lost) listen_for_silence();
  });
}

bool Connection::has_settled() const noexcept { return std::chrono::steady_clock::now() - ready_since_ > kSettled; }

void Connection::reopen() {
  kLog.debug("{}: closed a connection without work; connecting again", log::field("server", peer_.label));
  drop();
  attempts_ = 0;
  is_reopening_ = true;
  begin();
}

// Ends what belongs to the connection. Its roots stay known.
void Connection::drop() {
  ready_ = false;
  is_reopening_ = false;
  silence_.cancel();
  mount_retry_.cancel();
  mount_.reset();
  rpc_.reset();
  for (MountState& mount : mounts_) mount.is_chosen = false;
}

void Connection::lose(const std::string& why) {
  if (ready_ && has_settled()) attempts_ = 0;
  drop();
  failure_ = why;
  client_context_.alerts.raise("server", peer_.label, why);
  for (MountState& mount : mounts_) mount.root.reset();
  if (kLog.warning(peer_.failed, "{}: {}; trying again", log::field("server", peer_.label), why)) {
    peer_.was_said_away = true;
  }
  retry_.set(std::chrono::steady_clock::now() + backoff_.delay(attempts_++), [this] {
    peer_.reconnects.add();
    begin();
  });
  changed_();
}

}  // namespace qatime::nfs
