// SPDX-License-Identifier: MIT
#include "nfs/resolved_server.h"

#include <algorithm>
#include <chrono>

#include <fmt/core.h>

#include "base/url.h"
#include "nfs/status.h"
#include "telemetry/alerts.h"

namespace qatime::nfs {

namespace {

std::string label_of(const boost::asio::ip::tcp::endpoint& endpoint) {
  return server_label(endpoint.address().to_string(), endpoint.port());
}

metrics::Counter& retries(metrics::Registry& registry, const boost::asio::ip::tcp::endpoint& endpoint,
                          const char* reason) {
  return registry.counter("qatime_server_retries_total",
                          "RPCs to be sent again: no reply in time, put off by the server (JUKEBOX), connection lost.",
                          {"server", label_of(endpoint)}, {"reason", reason});
}

}  // namespace

std::string server_label(const std::string& address, std::uint16_t port) {
  return port == 0 ? address : format_host_port(address, port);
}

ResolvedServer::ResolvedServer(std::size_t order, const boost::asio::ip::tcp::endpoint& endpoint,
                               const ClientContext& client_context, metrics::Registry& registry,
                               const std::function<void()>& changed)
    : rank{order},
      peer{endpoint, label_of(endpoint),
           registry.gauge("qatime_server_up", "Whether an NFS server answers.", {"server", label_of(endpoint)}),
           registry.counter("qatime_reconnects_total", "Attempts to connect to an NFS server again.",
                            {"server", label_of(endpoint)})},
      most{client_context.config.max_in_flight},
      flows(client_context.config.exports.size(), Flow{CongestionWindow{most}}),
      is_said_to_differ(client_context.config.exports.size()),
      client_context_{client_context},
      registry_{registry},
      window_{registry.gauge("qatime_server_window", "Requests that an NFS server may have at once.",
                             {"server", label_of(endpoint)})},
      seconds_{registry.histogram("qatime_server_seconds", "From sending an RPC to an NFS server to its reply.",
                                  {"server", label_of(endpoint)})},
      timeouts_{retries(registry, endpoint, "timeout")},
      put_off_{retries(registry, endpoint, "jukebox")},
      lost_{retries(registry, endpoint, "lost")} {
  look_at_route();
  for (std::size_t count = 0; count < client_context.config.connections; ++count) {
    connections.push_back(std::make_unique<Connection>(client_context, peer, [this, changed] {
      look_at_route();
      changed();
    }));
  }
}

ResolvedServer::~ResolvedServer() {
  Alerts& alerts = client_context_.alerts;
  alerts.resolve("server", peer.label);
  for (const NfsConfig::Export& each : client_context_.config.exports) {
    const std::string subject = fmt::format("{} {}", peer.label, each.target);
    for (const char* const reason : {"mount", "root"}) alerts.resolve(reason, subject);
  }
  registry_.remove({"server", peer.label});
}

void ResolvedServer::look_at_route() { source = source_towards(*peer.endpoint.data(), peer.endpoint.size()); }

bool ResolvedServer::answers() const {
  return std::ranges::any_of(connections, [](const auto& each) { return each->is_up(); });
}

std::size_t ResolvedServer::room(std::size_t export_index) const {
  if (is_leaving) return 0;
  constexpr std::size_t kShare = 3;  // times as many as are free is the most that one of several exports has
  const Flow& flow = flows[export_index];
  std::size_t room = is_full() ? 0 : most - in_flight;
  if (flows.size() > 1) {
    const std::size_t share = kShare * room;
    room = share > flow.in_flight ? (share - flow.in_flight + kShare) / (kShare + 1) : 0;
  }
  const std::size_t window = flow.window.limit();
  room = std::min(room, window > flow.in_flight ? window - flow.in_flight : 0);
  if (room == 0 || (flow.window.is_closed() && flow.window.pauses(std::chrono::steady_clock::now()))) return 0;
  std::size_t of_connections = 0;
  for (const auto& connection : connections) {
    if (connection->serves(export_index) && connection->is_ready()) of_connections += connection->rpc().room();
  }
  return std::min(room, of_connections);
}

void ResolvedServer::set_most(std::size_t max_in_flight) noexcept {
  most = max_in_flight;
  for (Flow& flow : flows) flow.window.set_most(most);
}

void ResolvedServer::restart() noexcept {
  for (Flow& flow : flows) flow.window.restart();
}

void ResolvedServer::show_window() const {
  std::size_t sum = 0;
  for (const Flow& flow : flows) sum += flow.window.limit();
  window_.set(static_cast<std::int64_t>(std::min(sum, most)));
}

void ResolvedServer::count(Status status, Clock::Duration duration) {
  if (status == Status::timeout) return timeouts_.add();
  if (status == Status::lost) return lost_.add();
  if (status == Status::jukebox) put_off_.add();
  seconds_.observe(duration);
}

Connection& ResolvedServer::least_busy(std::size_t export_index) const {
  return **std::ranges::max_element(connections, {}, [&](const auto& connection) {
    return connection->serves(export_index) ? connection->rpc().room() : 0;
  });
}

std::optional<std::string> ResolvedServer::trouble(std::size_t export_index, const std::string& target) const {
  for (const auto& connection : connections) {
    if (!connection->failure().empty()) return fmt::format("{}: {}", peer.label, connection->failure());
    const Status status = connection->mount_status(export_index);
    if (connection->is_ready() && status != Status::ok) {
      return fmt::format("{}: export \"{}\": {}: {}", peer.label, log::escaped(target), nfs::name(status),
                         advice(Purpose::mount, status));
    }
  }
  return std::nullopt;
}

bool ResolvedServer::serves(std::size_t export_index) const {
  return std::ranges::any_of(connections, [&](const auto& each) { return each->serves(export_index); });
}

bool ResolvedServer::differs(std::size_t export_index) const {
  return std::ranges::any_of(connections, [&](const auto& each) {
    return each->is_ready() && each->root(export_index) && !each->serves(export_index);
  });
}

}  // namespace qatime::nfs
