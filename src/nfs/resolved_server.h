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
#include "nfs/congestion_window.h"
#include "nfs/connection.h"
#include "nfs/rpc.h"
#include "telemetry/metrics.h"

namespace qatime::nfs {

// Returns a server's name in metrics, log lines and reports: its address, and the port of NFS unless it is 0.
[[nodiscard]] std::string server_label(const std::string& address, std::uint16_t port);

// The requests for one export to one server.
struct Flow {
  CongestionWindow window;
  std::size_t in_flight = 0;
  bool is_offered = false;  // to the next request, by Balancer
};

// All that LibnfsClient knows of one address. It stays where it is, because its connections refer to it. With it go its
// metrics and alerts. Thread: the loop's.
struct ResolvedServer {
  // Connects once the loop runs. `rank` is that of its entry in nfs.servers. Calls `changed` as Connection does.
  ResolvedServer(std::size_t order, const boost::asio::ip::tcp::endpoint& endpoint, const ClientContext& client_context,
                 metrics::Registry& registry, const std::function<void()>& changed);
  ~ResolvedServer();
  ResolvedServer(const ResolvedServer&) = delete;
  ResolvedServer& operator=(const ResolvedServer&) = delete;

  [[nodiscard]] bool answers() const;
  // How many more requests may be started for the export. One of several exports leaves a quarter of what is free to
  // the others, so that there is always something left for one that begins (A. K. Choudhury and E. L. Hahne, "Dynamic
  // Queue Length Thresholds for Shared-Memory Packet Switches", 1998). None while the server leaves.
  [[nodiscard]] std::size_t room(std::size_t export_index) const;
  [[nodiscard]] bool is_full() const noexcept { return in_flight >= most; }
  // Its least busy connection that serves the export. Precondition: room() for it.
  [[nodiscard]] Connection& least_busy(std::size_t export_index) const;
  // Why this server does not give this export; nothing while that is not known.
  [[nodiscard]] std::optional<std::string> trouble(std::size_t export_index, const std::string& target) const;
  [[nodiscard]] bool serves(std::size_t export_index) const;
  // Whether it gives the export with another root than the chosen one.
  [[nodiscard]] bool differs(std::size_t export_index) const;

  // Applies nfs.max_in_flight.
  void set_most(std::size_t max_in_flight) noexcept;
  // Begins with few requests again, because the server is back after an outage.
  void restart() noexcept;
  // Has the metric show how many requests the windows allow.
  void show_window() const;
  // Counts a request that ended with this status after so long.
  void count(Status status, Clock::Duration duration);

  std::size_t rank;
  bool is_named = true;     // nfs.servers stand for it
  bool is_leaving = false;  // they do so no more, and others do its work
  Peer peer;
  std::size_t most;                   // nfs.max_in_flight
  std::size_t in_flight = 0;          // of all exports
  std::vector<Flow> flows;            // by export
  std::vector<std::size_t> left_out;  // exports that get room here when the server is full no more, for Balancer
  std::optional<Address> source{};    // the address of ours that the routes choose
  std::vector<std::unique_ptr<Connection>> connections;
  std::vector<bool> is_said_to_differ;  // by export
  log::Throttle differed;

 private:
  void look_at_route();

  const ClientContext& client_context_;
  metrics::Registry& registry_;
  metrics::Gauge& window_;
  metrics::Histogram& seconds_;
  metrics::Counter& timeouts_;
  metrics::Counter& put_off_;
  metrics::Counter& lost_;
};

}  // namespace qatime::nfs
