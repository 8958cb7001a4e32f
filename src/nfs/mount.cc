// SPDX-License-Identifier: MIT
#include "nfs/mount.h"

#include <limits>
#include <utility>

#include <fmt/core.h>

#include "nfs/procedures.h"

namespace qatime::nfs {

namespace {

constexpr std::uint32_t kNfsProgram = 100003;
constexpr std::uint32_t kMountProgram = 100005;
constexpr std::uint32_t kVersion = 3;  // of both

// Why a portmapper's reply holds no port; empty if it does.
std::string refusal(Status status, std::uint32_t port, const char* service) {
  if (status != Status::ok) return fmt::format("portmapper: answers {}", name(status));
  if (port == 0 || port > std::numeric_limits<std::uint16_t>::max()) {
    return fmt::format("portmapper: knows no {} over TCP: {}", service, advice(Purpose::greet, Status::notsupp));
  }
  return {};
}

}  // namespace

Mount::Mount(const ClientContext& client_context, const boost::asio::ip::tcp::endpoint& server,
             std::vector<std::size_t> exports, Done done, std::uint16_t portmapper_port)
    : client_context_{client_context},
      address_{server.address()},
      mount_port_{client_context.config.mount_port},
      exports_{std::move(exports)},
      done_{std::move(done)} {
  result_.nfs_port = server.port();
  if (mount_port_ == 0 || result_.nfs_port == 0) {
    ask_portmapper(portmapper_port);
  } else {
    open_mount_service();
  }
}

void Mount::ask_portmapper(std::uint16_t portmapper_port) {
  rpc_ = std::make_unique<Rpc>(
      client_context_, boost::asio::ip::tcp::endpoint{address_, portmapper_port}, [this] { ask_mount_port(); },
      [this, portmapper_port](const std::string& why) {
        finish(fmt::format("portmapper, port {}: {}; nfs.port and nfs.mount_port make it unnecessary", portmapper_port,
                           why));
      });
}

void Mount::ask_mount_port() {
  if (mount_port_ != 0) return ask_nfs_port();
  procedures::getport(*rpc_, kMountProgram, kVersion, [this](Status status, std::uint32_t port) {
    if (rpc_->is_lost_by(status)) return;  // `lost` says why
    if (auto why = refusal(status, port, "MOUNT version 3"); !why.empty()) return finish(std::move(why));
    mount_port_ = static_cast<std::uint16_t>(port);
    ask_nfs_port();
  });
}

void Mount::ask_nfs_port() {
  if (result_.nfs_port != 0) return open_mount_service();
  procedures::getport(*rpc_, kNfsProgram, kVersion, [this](Status status, std::uint32_t port) {
    if (rpc_->is_lost_by(status)) return;
    if (auto why = refusal(status, port, "NFS version 3"); !why.empty()) return finish(std::move(why));
    result_.nfs_port = static_cast<std::uint16_t>(port);
    open_mount_service();
  });
}

void Mount::open_mount_service() {
  rpc_ = std::make_unique<Rpc>(
      client_context_, boost::asio::ip::tcp::endpoint{address_, mount_port_}, [this] { ask_roots(); },
      [this](const std::string& why) { finish(fmt::format("MOUNT service, port {}: {}", mount_port_, why)); });
}

void Mount::ask_roots() {
  outstanding_ = exports_.size();
  for (const std::size_t export_index : exports_) result_.roots.push_back({export_index, Status::lost, {}});
  for (std::size_t index = 0; index < exports_.size(); ++index) {
    procedures::mnt(*rpc_, client_context_.config.exports.at(exports_[index]).target,
                    [this, index](Status status, const Handle& root) { take_root(index, status, root); });
  }
}

void Mount::take_root(std::size_t index, Status status, const Handle& root) {
  if (rpc_->is_lost_by(status)) return;
  if (status == Status::timeout) {
    return finish(fmt::format("MOUNT service, port {}: no reply", mount_port_));
  }
  result_.roots[index].status = status;
  result_.roots[index].handle = root;
  if (--outstanding_ == 0) finish({});
}

void Mount::finish(std::string failure) {
  const auto done = std::exchange(done_, nullptr);
  if (!done) return;
  auto result = std::move(result_);
  result.failure = std::move(failure);
  done(result);
}

}  // namespace qatime::nfs
