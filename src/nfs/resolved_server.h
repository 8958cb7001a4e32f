// SPDX-License-Identifier: MIT
// One address of a server, with its connections.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/ip/tcp.hpp>

#include "base/address.h"
#include "base/log.h"
#include "nfs/connection.h"
#include "nfs/rpc.h"
#include "telemetry/metrics.h"

namespace qatime::nfs {

// Returns a server's name in metrics, log lines and reports: its address, and the port of NFS unless it is 0.
[[nodiscard]] std::string server_label(const std::string& address, std::uint16_t port);

// What LibnfsClient knows of one address. It stays where it is, because its connections refer to it. Thread: the
// loop's.
struct ResolvedServer {
  // Connects once the loop runs. `rank` is that of its entry in nfs.servers. Calls `changed` as Connection does.
  ResolvedServer(std::size_t order, const boost::asio::ip::tcp::endpoint& endpoint, const ClientContext& client_context,
                 metrics::Registry& registry, const std::function<void()>& changed);

  [[nodiscard]] bool answers() const;
  // How many more requests may be started for the export.
  [[nodiscard]] std::size_t room(std::size_t export_index) const;
  // Its least busy connection that serves the export. Precondition: room() for it.
  [[nodiscard]] Connection& least_busy(std::size_t export_index) const;
  // Why this server does not give this export; nothing while that is not known.
  [[nodiscard]] std::optional<std::string> trouble(std::size_t export_index, const std::string& target) const;
  [[nodiscard]] bool serves(std::size_t export_index) const;
  // Whether it gives the export with another root than the chosen one.
  [[nodiscard]] bool differs(std::size_t export_index) const;

  std::size_t rank;
  Peer peer;
  std::optional<Address> source{};  // the address of ours that the routes choose
  std::vector<std::unique_ptr<Connection>> connections;
  std::vector<bool> is_said_to_differ;  // by export
  log::Throttle differed;

 private:
  void look_at_route();
};

}  // namespace qatime::nfs
