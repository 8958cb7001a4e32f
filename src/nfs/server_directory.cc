// SPDX-License-Identifier: MIT
#include "nfs/server_directory.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <utility>

#include <boost/asio/io_context.hpp>

#include "base/address.h"
#include "nfs/alarm.h"
#include "nfs/logger.h"
#include "nfs/names/name_lookup.h"
#include "nfs/rpc.h"
#include "telemetry/alerts.h"

namespace qatime::nfs {

namespace asio = boost::asio;

struct ServerDirectory::Host {
  Host(asio::io_context& io, std::string host, std::uint16_t service)
      : name{std::move(host)}, port{service}, alarm{io} {}

  std::string name;
  std::uint16_t port;
  bool is_numeric = false;
  bool was_looked_up = false;  // or needs no lookup
  bool is_needed = true;       // no address of it is known, or a server was away since the last success
  std::vector<asio::ip::address> addresses;
  std::vector<asio::ip::address> unreachable;  // the others of the name
  std::string failure;                         // why the name could not be resolved, last tried
  std::unique_ptr<NameLookup> lookup;          // while it is being resolved
  Clock::Instant next{};                       // when it may be resolved again
  Alarm alarm;                                 // it takes long; after it: it may be tried again
  log::Throttle failed;
};

ServerDirectory::ServerDirectory(const ClientContext& client_context, std::function<void()> changed)
    : client_context_{client_context}, changed_{std::move(changed)} {
  const NfsConfig& config = client_context.config;
  for (const NfsConfig::Server& server : config.servers) {
    auto& host = *hosts_.emplace_back(
        std::make_unique<Host>(client_context.io, server.host, server.port != 0 ? server.port : config.port));
    boost::system::error_code error;
    const auto address = asio::ip::make_address(server.host, error);
    host.is_numeric = !error;
    host.was_looked_up = host.is_numeric;
    if (host.is_numeric) {
      host.addresses = {address};
    } else {
      resolve(host);
    }
  }
  for (const auto& host : hosts_) host->alarm.detach();
}

ServerDirectory::~ServerDirectory() = default;

// Leaves out what no route leads to, but for a name of nothing else.
void ServerDirectory::take(Host& host, const std::vector<asio::ip::address>& addresses) {
  std::vector<asio::ip::address> reachable;
  std::vector<asio::ip::address> unreachable;
  for (const asio::ip::address& address : addresses) {
    const asio::ip::tcp::endpoint endpoint{address, host.port};
    const bool has_route = source_towards(*endpoint.data(), endpoint.size()).has_value();
    (has_route ? reachable : unreachable).push_back(address);
  }
  host.addresses = reachable.empty() ? addresses : reachable;
  if (unreachable == std::exchange(host.unreachable, unreachable) || unreachable.empty()) return;
  kLog.info("{}: no route leads to {} of its addresses, like {}", log::field("name", host.name), unreachable.size(),
            log::field("address", unreachable.front().to_string()));
}

// The addresses that are known are enough while all of them answer.
void ServerDirectory::fail(Host& host, const std::string& why) {
  host.failure = why;
  if (!host.is_needed) return;
  client_context_.alerts.raise("name", host.name, why);
  kLog.warning(host.failed, "{}; trying again", why);
}

void ServerDirectory::resolve(Host& host) {
  const auto begin = std::chrono::steady_clock::now();
  host.next = begin + client_context_.intervals.names_of_away;
  host.lookup = std::make_unique<NameLookup>(client_context_.io, host.name, [this, &host, begin](const auto& result) {
    host.lookup.reset();
    host.was_looked_up = true;
    if (!result.failure.empty()) {
      fail(host, result.failure);
    } else {
      host.failure.clear();
      host.is_needed = false;
      client_context_.alerts.resolve("name", host.name);
      take(host, result.addresses);
    }
    resolve_at(host, host.is_needed ? host.next : begin + client_context_.intervals.names);
    changed_();
  });
  // Nothing is to be done about it but to say so.
  host.alarm.set(begin + client_context_.config.timeout,
                 [this, &host] { fail(host, NameLookup::no_answer(host.name)); });
}

void ServerDirectory::resolve_at(Host& host, Clock::Instant when) {
  host.alarm.set(when, [this, &host] { resolve(host); });
}

void ServerDirectory::look_again() {
  for (const auto& host : hosts_) {
    if (host->is_numeric) continue;
    host->is_needed = true;
    if (host->lookup == nullptr) resolve_at(*host, host->next);
  }
}

std::vector<ServerDirectory::Location> ServerDirectory::locations() const {
  std::vector<Location> all;
  for (std::size_t rank = 0; rank < hosts_.size(); ++rank) {
    for (const auto& address : hosts_[rank]->addresses) all.push_back({rank, {address, hosts_[rank]->port}});
  }
  return all;
}

bool ServerDirectory::is_complete() const {
  return std::ranges::all_of(hosts_, [](const auto& host) { return host->was_looked_up; });
}

std::optional<std::vector<std::string>> ServerDirectory::failures() const {
  std::vector<std::string> all;
  for (const auto& host : hosts_) {
    if (!host->failure.empty()) all.push_back(host->failure);
    if (host->failure.empty() && host->addresses.empty()) return std::nullopt;
  }
  return all;
}

}  // namespace qatime::nfs
