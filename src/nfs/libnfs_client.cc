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
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "base/path.h"
#include "nfs/balancer.h"
#include "nfs/connection.h"
#include "nfs/logger.h"
#include "nfs/procedures.h"
#include "nfs/resolved_server.h"
#include "nfs/rpc.h"
#include "telemetry/alerts.h"

namespace qatime::nfs {

namespace asio = boost::asio;

namespace {

constexpr std::chrono::seconds kLeavePause{1};        // between two looks at a server that is to go
constexpr std::chrono::seconds kRootsPause{5};        // from asking for roots that differ until that is said
constexpr std::chrono::milliseconds kRoomPause{100};  // between looks at what is closed

// libnfs allocates 5 kB for each request, and many of them come and go together. By its defaults glibc would give that
// memory back, and get it again, each time. Above the first limit each allocation goes back by itself.
void keep_memory() {
#ifdef __GLIBC__
  (void)::mallopt(M_MMAP_THRESHOLD, 1 << 20);
  (void)::mallopt(M_TRIM_THRESHOLD, 4 << 20);
#endif
}

// The reason why a name cannot be looked up, or ok.
Status name_status(std::string_view name) {
  if (name.size() > kMaxComponent) return Status::nametoolong;
  if (name.empty() || name.find('/') != name.npos || name.find('\0') != name.npos) return Status::inval;
  return Status::ok;
}

void add(LocalAddresses& all, const std::optional<Address>& address) {
  if (address && std::ranges::count(all.addresses, *address) == 0) all.addresses.push_back(*address);
}

}  // namespace

struct LibnfsClient::Sent {
  ResolvedServer& server;
  Connection& connection;
  Clock::Instant started;
  std::uint32_t export_index;
  std::uint32_t in_flight;  // for the export, itself included
  CongestionWindow::Kind kind;
  bool was_root;  // of the export
};

LibnfsClient::LibnfsClient(asio::io_context& io, const NfsConfig& config, metrics::Registry& registry,
                           const Intervals& intervals)
    : client_context_{std::make_unique<ClientContext>(io, config, registry, intervals)},
      registry_{registry},
      directory_{*client_context_, [this] { follow_directory(); }},
      balancer_{std::make_unique<Balancer>(config.exports.size())},
      roots_(config.exports.size()),
      leave_alarm_{io},
      roots_alarm_{io},
      room_alarm_{io},
      life_{std::make_shared<char>()} {
  (void)std::signal(SIGPIPE, SIG_IGN);
  keep_memory();
  for (const auto& [rank, endpoint] : directory_.locations()) add_server(rank, endpoint);
}

LibnfsClient::~LibnfsClient() = default;

// Makes the servers those of the directory.
void LibnfsClient::follow_directory() {
  const auto locations = directory_.locations();
  for (const auto& server : servers_) {
    const auto found = std::ranges::find(locations, server->peer.endpoint, &ServerDirectory::Location::endpoint);
    server->is_named = found != locations.end();
  }
  for (const auto& [rank, endpoint] : locations) add_server(rank, endpoint);
  let_leave();
  take_change();
}

// One that is named no more goes if it does not answer, or if others do and it has no work left.
void LibnfsClient::let_leave() {
  const bool is_served =
      std::ranges::any_of(servers_, [](const auto& each) { return each->is_named && each->answers(); });
  for (const auto& server : servers_) server->is_leaving = !server->is_named && is_served;
  std::erase_if(servers_, [](const auto& each) {
    return !each->is_named && (!each->answers() || (each->is_leaving && each->in_flight == 0));
  });
  if (std::ranges::all_of(servers_, [](const auto& each) { return each->is_named; })) return;
  leave_alarm_.set(std::chrono::steady_clock::now() + kLeavePause, [this] {
    let_leave();
    take_change();
  });
}

void LibnfsClient::add_server(std::size_t rank, const asio::ip::tcp::endpoint& endpoint) {
  const auto is_same = [&](const auto& server) { return server->peer.endpoint == endpoint; };
  if (std::ranges::any_of(servers_, is_same)) return;
  const auto at = std::ranges::upper_bound(servers_, rank, {}, [](const auto& each) { return each->rank; });
  servers_.insert(
      at, std::make_unique<ResolvedServer>(rank, endpoint, *client_context_, registry_, [this] { take_change(); }));
}

void LibnfsClient::take_change() {
  for (const auto& server : servers_) {
    auto& up = server->peer.up;
    if (server->answers() && up.value() == 0) server->restart();
    up.set(server->answers() ? 1 : 0);
    server->show_window();
  }
  const auto is_down = [](const auto& server) { return !server->answers(); };
  if (std::ranges::any_of(servers_, is_down)) directory_.look_again();
  choose_roots();
  balancer_->set_servers(servers_);
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
        if (!root && connection->is_up()) root = connection->root(export_index);
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
  const std::string text =
      fmt::format("another root than on {}, so it gets no requests for the export; {}",
                  chosen == servers_.end() ? std::string{"others"} : (*chosen)->peer.label, kOneCluster);
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
  found.is_complete = directory_.is_complete();
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

bool LibnfsClient::has_room(std::size_t export_index) {
  assert(thread_.is_current());
  const bool has_room = balancer_->has_room(export_index);
  if (balancer_->must_look_again()) look_for_room_later();
  return has_room;
}

bool LibnfsClient::is_full() const {
  assert(thread_.is_current());
  return balancer_->is_full();
}

// Where a window is closed, no request may be on its way whose end tells.
void LibnfsClient::look_for_room_later() {
  if (std::exchange(looks_for_room_, true)) return;
  room_alarm_.set(std::chrono::steady_clock::now() + kRoomPause, [this] {
    looks_for_room_ = false;
    balancer_->look_again();
    if (changed_) changed_();
  });
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

// Has `start` start a request where it is best for the export.
template <class Results, class Start>
void LibnfsClient::request(std::size_t export_index, const Handle& object, CongestionWindow::Kind kind,
                           Completion<Results> done, const Start& start) {
  assert(thread_.is_current());
  ResolvedServer* const server = balancer_->choose(export_index);
  if (server == nullptr) return post([done = std::move(done)] { done(Status::lost, {}); });
  Connection& connection = server->least_busy(export_index);
  balancer_->begun(*server, export_index);
  const Sent sent{*server,
                  connection,
                  std::chrono::steady_clock::now(),
                  static_cast<std::uint32_t>(export_index),
                  static_cast<std::uint32_t>(server->flows[export_index].in_flight),
                  kind,
                  connection.root(export_index) == object};
  start(connection.rpc(), [this, sent, done = std::move(done)](Status status, const Results& results) {
    ended(sent, status);
    done(status, results);
  });
}

void LibnfsClient::ended(const Sent& sent, Status status) {
  // A root that is none any more is asked for again; what else has gone stale is found by its name, by the caller.
  if (sent.was_root && (status == Status::stale || status == Status::badhandle)) sent.connection.doubt_roots();
  auto& window = sent.server.flows[sent.export_index].window;
  const std::size_t before = window.limit();
  const auto now = std::chrono::steady_clock::now();
  sent.server.count(status, now - sent.started);
  if (status == Status::jukebox || status == Status::timeout) {
    window.overloaded(sent.kind, sent.started, now);
  } else if (status != Status::lost) {
    window.answered(sent.kind, now);
    window.succeeded(status == Status::ok ? sent.kind : CongestionWindow::Kind::read, sent.started, now,
                     sent.in_flight);
  }
  if (window.limit() != before) sent.server.show_window();
  balancer_->ended(sent.server, sent.export_index);
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

void LibnfsClient::defer(std::function<void()> later) { client_context_->deferred->add(std::move(later)); }

void LibnfsClient::post(std::function<void()> completion) {
  asio::post(client_context_->io, [life = std::weak_ptr{life_}, completion = std::move(completion)] {
    if (!life.expired()) completion();
  });
}

void LibnfsClient::reconfigure(const NfsConfig& config) {
  assert(thread_.is_current());
  client_context_->config.timeout = config.timeout;
  client_context_->config.max_in_flight = config.max_in_flight;
  for (const auto& server : servers_) server->set_most(config.max_in_flight);
  balancer_->look_again();
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
  const auto failures = directory_.failures();
  if (!failures) return std::nullopt;
  for (const std::string& failure : *failures) add(failure);
  for (const auto& server : servers_) {
    const auto one = server->trouble(export_index, client_context_->config.exports.at(export_index).target);
    if (!one) return std::nullopt;
    add(*one);
  }
  return all;
}

}  // namespace qatime::nfs
