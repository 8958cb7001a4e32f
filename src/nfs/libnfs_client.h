// SPDX-License-Identifier: MIT
// The client that speaks NFSv3 to real servers, by libnfs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "base/address.h"
#include "base/thread_checker.h"
#include "config/config.h"
#include "nfs/alarm.h"
#include "nfs/client.h"
#include "nfs/congestion_window.h"
#include "nfs/rpc.h"
#include "nfs/server_directory.h"
#include "telemetry/metrics.h"

namespace qatime::nfs {

class Balancer;
struct ResolvedServer;

// Advice where servers give one export with different roots.
inline constexpr std::string_view kOneCluster = "list servers of one cluster in nfs.servers";

// The addresses that servers see as ours.
struct LocalAddresses {
  std::vector<Address> addresses;  // of the connections, and those that the routes choose; each once
  bool is_complete = false;        // each name was looked up once, with or without success
  friend bool operator==(const LocalAddresses&, const LocalAddresses&) = default;
};

// Every address that a configured name resolves to is one server, with its own connections. Lost connections are made
// again with backoff. Names are resolved again every minute, and sooner while a server does not answer. A server whose
// address no name has any more gets no requests while others answer, and goes when it has none or does not answer. A
// request goes to a server with room among those that have its export mounted: balancer.h.
//
// On a cluster all servers give one root for an export, and a handle is valid on all of them. So a server that gives
// another root is none of the cluster: it gets no requests for that export, and a warning and an alert say so. The root
// that counts is that of the first server that gives one, in the order of nfs.servers. Roots that differ are asked for
// again, because a cluster may change the root of an export, and one connection learns of it before another.
//
// Begins to connect once the loop runs. Ignores SIGPIPE in the whole process, because libnfs writes to sockets that
// might be gone, and lets glibc keep some MiB that are free, because libnfs allocates for each request. Counts
// qatime_rpcs_total{procedure}, qatime_server_up{server} and qatime_reconnects_total{server}.
class LibnfsClient final : public Client {
 public:
  // Bytes of stack that the loop's thread must have, because libnfs decodes a page by recursion. Version 4 takes 96 for
  // each of at most kMostEntriesOfReply entries, and four times that where a sanitizer is in it.
  static constexpr std::size_t kStack = 8 << 20;

  // Indexes of exports are those in `config`.
  LibnfsClient(boost::asio::io_context& io, const NfsConfig& config, metrics::Registry& registry,
               const Intervals& intervals = {});
  ~LibnfsClient() override;
  LibnfsClient(const LibnfsClient&) = delete;
  LibnfsClient& operator=(const LibnfsClient&) = delete;

  [[nodiscard]] std::size_t room(std::size_t export_index) const override;
  [[nodiscard]] bool has_room(std::size_t export_index) override;
  [[nodiscard]] bool is_full() const override;
  [[nodiscard]] std::optional<Handle> root(std::size_t export_index) const override;
  [[nodiscard]] Status mount_status(std::size_t export_index) const override;
  void lookup(std::size_t export_index, const Handle& directory, std::string_view name, ObjectDone done) override;
  void getattr(std::size_t export_index, const Handle& object, AttributesDone done) override;
  void set_atime(std::size_t export_index, const Handle& object, Time atime, std::optional<Time> guard,
                 AttributesDone done) override;
  void readdirplus(std::size_t export_index, const Handle& directory, const Page::Position& begin, std::uint32_t size,
                   PageDone done) override;
  void on_change(std::function<void()> changed) override;
  void defer(std::function<void()> later) override;

  // Applies nfs.max_in_flight and nfs.timeout of `config`. The timeout is for requests that start later.
  void reconfigure(const NfsConfig& config);

  // Calls `changed` with our addresses: at once, and on the loop when they change. A new address is told before the
  // first request from it. Set before the loop runs.
  void on_local_addresses(std::function<void(const LocalAddresses&)> changed);

  // Why no server gives the export: one line for people. Nothing until each server was tried, or while it is mounted.
  [[nodiscard]] std::optional<std::string> trouble(std::size_t export_index) const;

 private:
  struct Sent;  // a request on its way

  void follow_directory();
  void let_leave();
  void add_server(std::size_t rank, const boost::asio::ip::tcp::endpoint& endpoint);
  void take_change();
  void choose_roots();
  void compare_roots(bool was_asked_again);
  void say(ResolvedServer& server, std::size_t export_index, bool differs);
  [[nodiscard]] LocalAddresses routes() const;
  void note_local_addresses();
  void look_for_room_later();
  void ended(const Sent& sent, Status status);
  void post(std::function<void()> completion);
  template <class Results, class Start>
  void request(std::size_t export_index, const Handle& object, CongestionWindow::Kind kind, Completion<Results> done,
               const Start& start);

  ThreadChecker thread_;
  std::unique_ptr<ClientContext> client_context_;
  metrics::Registry& registry_;
  std::function<void()> changed_;
  std::function<void(const LocalAddresses&)> local_addresses_changed_;
  LocalAddresses local_addresses_;
  ServerDirectory directory_;
  std::vector<std::unique_ptr<ResolvedServer>> servers_;  // in the order of nfs.servers
  std::unique_ptr<Balancer> balancer_;
  std::vector<std::optional<Handle>> roots_;  // by export
  bool roots_differ_ = false;
  Alarm leave_alarm_;  // servers that are to go might be able to
  Alarm roots_alarm_;  // roots that differ have been asked for again
  bool looks_for_room_ = false;
  Alarm room_alarm_;
  std::shared_ptr<char> life_;  // posted handlers look whether we still live
};

}  // namespace qatime::nfs
