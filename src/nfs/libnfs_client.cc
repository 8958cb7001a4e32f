// SPDX-License-Identifier: MIT
#include "nfs/libnfs_client.h"

#include <algorithm>
#include <cassert>
#include <csignal>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <fmt/core.h>

#include "base/path.h"
#include "base/url.h"
#include "nfs/alarm.h"
#include "nfs/connection.h"
#include "nfs/logger.h"
#include "nfs/name_lookup.h"
#include "nfs/procedures.h"
#include "nfs/rpc.h"
#include "telemetry/alerts.h"

namespace qatime::nfs {

namespace asio = boost::asio;
using tcp = asio::ip::tcp;

namespace {

constexpr std::chrono::seconds kResolvePause{5};  // between two looks at one name
constexpr std::chrono::seconds kRootsPause{5};    // from asking for roots that differ until that is said

// What keeps a name from being looked up, or ok.
Status name_status(std::string_view name) {
  if (name.size() > kMaxComponent) return Status::nametoolong;
  if (name.empty() || name.find('/') != name.npos || name.find('\0') != name.npos) return Status::inval;
  return Status::ok;
}

void add(LocalAddresses& all, const std::optional<Address>& address) {
  if (address && std::ranges::count(all.addresses, *address) == 0) all.addresses.push_back(*address);
}

// A request on its way, and what its end tells about the server.
class Awaited {
 public:
  Awaited(Connection& connection, const Handle& object, CongestionWindow::Kind kind)
      : connection_{connection},
        was_root_{connection.is_root(object)},
        kind_{kind},
        started_{std::chrono::steady_clock::now()},
        in_flight_{++connection.peer().in_flight} {}

  void ended(Status status) const {
    // A root that is none any more is asked for again; what else has gone stale is found by its name, by the caller.
    if (was_root_ && (status == Status::stale || status == Status::badhandle)) connection_.doubt_roots();
    Peer& peer = connection_.peer();
    --peer.in_flight;
    const auto now = std::chrono::steady_clock::now();
    if (status == Status::jukebox || status == Status::timeout) {
      peer.window.overloaded(started_, now);
    } else if (status != Status::lost) {
      peer.window.succeeded(status == Status::ok ? kind_ : CongestionWindow::Kind::read, started_, now, in_flight_);
    }
    peer.limit.set(static_cast<std::int64_t>(peer.window.limit()));
  }

 private:
  Connection& connection_;
  bool was_root_;
  CongestionWindow::Kind kind_;
  Clock::Instant started_;
  std::size_t in_flight_;
};

}  // namespace

std::string server_label(const std::string& address, std::uint16_t port) {
  return port == 0 ? address : format_host_port(address, port);
}

struct LibnfsClient::Host {
  Host(asio::io_context& io, std::string host, std::uint16_t service)
      : name{std::move(host)}, port{service}, alarm{io} {}

  std::string name;
  std::uint16_t port;
  bool is_numeric = false;
  bool was_looked_up = false;  // or needs no lookup
  std::vector<asio::ip::address> addresses;
  std::string failure;                           // why the name could not be resolved, last tried
  std::unique_ptr<NameLookup> lookup;            // while it is being resolved
  std::chrono::steady_clock::time_point next{};  // when it may be resolved again
  Alarm alarm;                                   // it takes long; after it: it may be tried again
  log::Throttle failed;
};

struct LibnfsClient::ResolvedServer {
  ResolvedServer(std::size_t order, const tcp::endpoint& endpoint, const std::string& label, const NfsConfig& config,
                 metrics::Registry& registry)
      : rank{order},
        peer{endpoint,
             label,
             registry.gauge("qatime_server_up", "Whether an NFS server answers.", {"server", label}),
             registry.counter("qatime_reconnects_total", "Attempts to connect to an NFS server again.",
                              {"server", label}),
             registry.gauge("qatime_server_window", "Requests that an NFS server may have at once.", {"server", label}),
             CongestionWindow{config.max_in_flight}},
        is_said_to_differ(config.exports.size()) {}

  [[nodiscard]] bool answers() const {
    return std::any_of(connections.begin(), connections.end(), [](const auto& each) { return each->is_ready(); });
  }

  // How many more requests may be started for the export.
  [[nodiscard]] std::size_t room(std::size_t export_index) const {
    const std::size_t share = peer.window.limit();
    std::size_t waiting = 0;
    std::size_t room = 0;
    for (const auto& connection : connections) {
      if (!connection->is_ready()) continue;
      waiting += connection->rpc().waiting();
      if (connection->serves(export_index)) room += connection->rpc().room();
    }
    return waiting < share ? std::min(room, share - waiting) : 0;
  }

  // Why this server does not give this export; nothing while that is not known.
  [[nodiscard]] std::optional<std::string> trouble(std::size_t export_index, const std::string& target) const {
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

  [[nodiscard]] bool serves(std::size_t export_index) const {
    return std::ranges::any_of(connections, [&](const auto& each) { return each->serves(export_index); });
  }

  // Whether it gives the export with another root than the chosen one.
  [[nodiscard]] bool differs(std::size_t export_index) const {
    return std::ranges::any_of(connections, [&](const auto& each) {
      return each->is_ready() && each->root(export_index) && !each->serves(export_index);
    });
  }

  std::size_t rank;  // of its host in nfs.servers
  Peer peer;
  // The address of ours that the routes choose.
  void look_at_route() { source = source_towards(*peer.endpoint.data(), peer.endpoint.size()); }

  std::optional<Address> source{};
  std::vector<std::unique_ptr<Connection>> connections;
  std::vector<bool> is_said_to_differ;  // by export
  log::Throttle differed;
};

LibnfsClient::LibnfsClient(asio::io_context& io, const NfsConfig& config, metrics::Registry& registry)
    : client_context_{std::make_unique<ClientContext>(io, config, registry)},
      registry_{registry},
      roots_(config.exports.size()),
      roots_alarm_{io},
      life_{std::make_shared<char>()} {
  (void)std::signal(SIGPIPE, SIG_IGN);
  for (const NfsConfig::Server& server : config.servers) {
    auto& host =
        *hosts_.emplace_back(std::make_unique<Host>(io, server.host, server.port != 0 ? server.port : config.port));
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
  add_new_servers();
  for (const auto& host : hosts_) host->alarm.detach();
}

LibnfsClient::~LibnfsClient() = default;

void LibnfsClient::resolve(Host& host) {
  const auto begin = std::chrono::steady_clock::now();
  const auto fail = [this, &host](const std::string& why) {
    host.failure = why;
    client_context_->alerts.raise("name", host.name, why);
    kLog.warning(host.failed, "{}; trying again", why);
  };
  host.next = begin + kResolvePause;
  host.lookup = std::make_unique<NameLookup>(client_context_->io, host.name, [this, &host, fail](const auto& result) {
    host.lookup.reset();
    host.was_looked_up = true;
    host.alarm.cancel();
    if (!result.failure.empty()) {
      fail(result.failure);
      resolve_later(host);
    } else {
      host.failure.clear();
      client_context_->alerts.resolve("name", host.name);
      host.addresses = result.addresses;
      add_new_servers();
    }
    take_change();
  });
  // Nothing is to be done about it but to say so.
  host.alarm.set(begin + client_context_->config.timeout, [&host, fail] { fail(NameLookup::no_answer(host.name)); });
}

void LibnfsClient::resolve_later(Host& host) {
  if (host.lookup != nullptr) return;
  host.alarm.set(host.next, [this, &host] { resolve(host); });
}

// Makes the servers those that the hosts' addresses name, but for one that is gone from its name and still answers.
void LibnfsClient::add_new_servers() {
  const auto is_wanted = [this](const std::unique_ptr<ResolvedServer>& server) {
    return std::any_of(hosts_.begin(), hosts_.end(), [&](const auto& host) {
      return host->port == server->peer.endpoint.port() &&
             std::count(host->addresses.begin(), host->addresses.end(), server->peer.endpoint.address()) != 0;
    });
  };
  std::erase_if(servers_, [&](const auto& server) {
    const bool goes = !is_wanted(server) && !server->answers();
    if (goes) client_context_->alerts.resolve("server", server->peer.label);
    return goes;
  });
  for (std::size_t rank = 0; rank < hosts_.size(); ++rank) {
    for (const auto& address : hosts_[rank]->addresses) add_server(rank, address);
  }
}

void LibnfsClient::add_server(std::size_t rank, const asio::ip::address& address) {
  const tcp::endpoint endpoint{address, hosts_[rank]->port};
  const auto is_same = [&](const auto& server) { return server->peer.endpoint == endpoint; };
  if (std::any_of(servers_.begin(), servers_.end(), is_same)) return;
  const auto at = std::ranges::upper_bound(servers_, rank, {}, [](const auto& each) { return each->rank; });
  auto& server = **servers_.insert(
      at, std::make_unique<ResolvedServer>(rank, endpoint, server_label(address.to_string(), endpoint.port()),
                                           client_context_->config, registry_));
  server.look_at_route();
  for (std::size_t count = 0; count < client_context_->config.connections; ++count) {
    server.connections.push_back(std::make_unique<Connection>(*client_context_, server.peer, [this, &server] {
      server.look_at_route();
      take_change();
    }));
  }
}

void LibnfsClient::take_change() {
  for (const auto& server : servers_) {
    Peer& peer = server->peer;
    if (server->answers() && peer.up.value() == 0) peer.window.restart();
    peer.up.set(server->answers() ? 1 : 0);
  }
  const auto is_down = [](const auto& server) { return !server->answers(); };
  if (std::any_of(servers_.begin(), servers_.end(), is_down)) {
    for (const auto& host : hosts_) {
      if (!host->is_numeric) resolve_later(*host);
    }
  }
  choose_roots();
  compare_roots(false);
  note_local_addresses();
  if (changed_) changed_();
}

void LibnfsClient::choose_roots() {
  for (std::size_t export_index = 0; export_index < roots_.size(); ++export_index) {
    auto& root = roots_[export_index];
    root.reset();
    for (const auto& server : servers_) {
      for (const auto& connection : server->connections) {
        if (!root && connection->is_ready()) root = connection->root(export_index);
      }
    }
    for (const auto& server : servers_) {
      for (const auto& connection : server->connections) connection->choose(export_index, root);
    }
  }
}

// Says that a server gives the export another root than others, or that it does so no more.
void LibnfsClient::say(ResolvedServer& server, std::size_t export_index, bool differs) {
  const std::string& target = client_context_->config.exports[export_index].target;
  const std::string subject = fmt::format("{} {}", server.peer.label, target);
  server.is_said_to_differ[export_index] = differs;
  if (!differs) return client_context_->alerts.resolve("root", subject);
  const auto chosen = std::ranges::find_if(servers_, [&](const auto& each) { return each->serves(export_index); });
  const std::string text = fmt::format("another root than on {}, so it gets no requests for the export; {}",
                                       (*chosen)->peer.label, kOneCluster);
  client_context_->alerts.raise("root", subject, text);
  kLog.warning(server.differed, "{}: export \"{}\" has {}", log::field("server", server.peer.label),
               log::field("export", target), text);
}

// Asks for all roots again while some differ, and then says which.
void LibnfsClient::compare_roots(bool was_asked_again) {
  bool differ = false;
  for (const auto& server : servers_) {
    for (std::size_t export_index = 0; export_index < roots_.size(); ++export_index) {
      const bool differs = server->differs(export_index);
      differ = differ || differs;
      if (differs ? was_asked_again : server->is_said_to_differ[export_index]) say(*server, export_index, differs);
    }
  }
  const bool is_being_asked = std::exchange(roots_differ_, differ) && !was_asked_again;
  if (!differ) return roots_alarm_.cancel();
  if (is_being_asked) return;
  for (const auto& server : servers_) {
    for (const auto& connection : server->connections) connection->doubt_roots();
  }
  roots_alarm_.set(std::chrono::steady_clock::now() + kRootsPause, [this] { compare_roots(true); });
}

// The part that is known without a connection.
LocalAddresses LibnfsClient::routes() const {
  LocalAddresses found;
  found.is_complete = std::ranges::all_of(hosts_, [](const auto& host) { return host->was_looked_up; });
  for (const auto& server : servers_) add(found, server->source);
  return found;
}

void LibnfsClient::note_local_addresses() {
  LocalAddresses found = routes();
  for (const auto& server : servers_) {
    for (const auto& connection : server->connections) {
      if (connection->is_ready()) add(found, connection->rpc().local_address());
    }
  }
  if (found == local_addresses_) return;
  local_addresses_ = std::move(found);
  if (local_addresses_changed_) local_addresses_changed_(local_addresses_);
}

std::size_t LibnfsClient::room(std::size_t export_index) const {
  assert(thread_.is_current());
  std::size_t room = 0;
  for (const auto& server : servers_) room += server->room(export_index);
  return room;
}

// Where the next request goes: the least busy connection of the server with the most room.
Connection* LibnfsClient::roomiest(std::size_t export_index) const {
  const ResolvedServer* best = nullptr;
  std::size_t most = 0;
  for (const auto& server : servers_) {
    if (const auto room = server->room(export_index); room > most) {
      most = room;
      best = server.get();
    }
  }
  if (best == nullptr) return nullptr;
  const auto room_of = [&](const auto& connection) {
    return connection->serves(export_index) ? connection->rpc().room() : 0;
  };
  return std::max_element(best->connections.begin(), best->connections.end(),
                          [&](const auto& a, const auto& b) { return room_of(a) < room_of(b); })
      ->get();
}

std::optional<Handle> LibnfsClient::root(std::size_t export_index) const {
  assert(thread_.is_current());
  return roots_.at(export_index);
}

Status LibnfsClient::mount_status(std::size_t export_index) const {
  assert(thread_.is_current());
  if (root(export_index)) return Status::ok;
  for (const auto& server : servers_) {
    for (const auto& connection : server->connections) {
      if (const Status status = connection->mount_status(export_index); status != Status::ok) return status;
    }
  }
  return Status::ok;
}

// Has `start` start a request on the connection that is best for the export.
template <class Results, class Start>
void LibnfsClient::request(std::size_t export_index, const Handle& object, CongestionWindow::Kind kind,
                           Completion<Results> done, const Start& start) {
  assert(thread_.is_current());
  Connection* const connection = roomiest(export_index);
  if (connection == nullptr) return post([done = std::move(done)] { done(Status::lost, {}); });
  const Awaited sent{*connection, object, kind};
  start(connection->rpc(), [sent, done = std::move(done)](Status status, const Results& results) {
    sent.ended(status);
    done(status, results);
  });
}

void LibnfsClient::lookup(std::size_t export_index, const Handle& directory, std::string_view name, ObjectDone done) {
  const Status status = name_status(name);
  if (status != Status::ok) return post([status, done = std::move(done)] { done(status, {}); });
  request(export_index, directory, CongestionWindow::Kind::read, std::move(done),
          [&](Rpc& rpc, auto ended) { procedures::lookup(rpc, directory, name, std::move(ended)); });
}

void LibnfsClient::getattr(std::size_t export_index, const Handle& object, AttributesDone done) {
  request(export_index, object, CongestionWindow::Kind::read, std::move(done),
          [&](Rpc& rpc, auto ended) { procedures::getattr(rpc, object, std::move(ended)); });
}

void LibnfsClient::set_atime(std::size_t export_index, const Handle& object, Time atime, std::optional<Time> guard,
                             AttributesDone done) {
  request(export_index, object, CongestionWindow::Kind::update, std::move(done),
          [&](Rpc& rpc, auto ended) { procedures::set_atime(rpc, object, atime, guard, std::move(ended)); });
}

void LibnfsClient::readdirplus(std::size_t export_index, const Handle& directory, const Page::Position& begin,
                               std::uint32_t size, PageDone done) {
  request(export_index, directory, CongestionWindow::Kind::read, std::move(done),
          [&](Rpc& rpc, auto ended) { procedures::readdirplus(rpc, directory, begin, size, std::move(ended)); });
}

void LibnfsClient::post(std::function<void()> completion) {
  asio::post(client_context_->io, [life = std::weak_ptr{life_}, completion = std::move(completion)] {
    if (!life.expired()) completion();
  });
}

void LibnfsClient::reconfigure(const NfsConfig& config) {
  assert(thread_.is_current());
  client_context_->config.timeout = config.timeout;
  client_context_->config.max_in_flight = config.max_in_flight;
  for (const auto& server : servers_) server->peer.window.set_most(config.max_in_flight);
}

void LibnfsClient::on_change(std::function<void()> changed) { changed_ = std::move(changed); }

void LibnfsClient::on_local_addresses(std::function<void(const LocalAddresses&)> changed) {
  local_addresses_changed_ = std::move(changed);
  local_addresses_ = routes();
  local_addresses_changed_(local_addresses_);
}

std::optional<std::string> LibnfsClient::trouble(std::size_t export_index) const {
  assert(thread_.is_current());
  if (root(export_index)) return std::nullopt;
  std::string all;
  const auto add = [&all](const std::string& one) { all += (all.empty() ? "" : "; ") + one; };
  for (const auto& host : hosts_) {
    if (!host->failure.empty()) add(host->failure);
    if (host->failure.empty() && host->addresses.empty()) return std::nullopt;
  }
  for (const auto& server : servers_) {
    const auto one = server->trouble(export_index, client_context_->config.exports.at(export_index).target);
    if (!one) return std::nullopt;
    add(*one);
  }
  return all;
}

}  // namespace qatime::nfs
