// SPDX-License-Identifier: MIT
// The addresses that nfs.servers stand for.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "base/clock.h"

namespace qatime::nfs {

struct ClientContext;

// Looks up the names among nfs.servers: at once, again every minute, and sooner when it is asked to or has no address
// of a name. A name keeps its last addresses while it cannot be looked up. A warning and an alert say so if they are
// needed.
//
// An address of a name to which the kernel has no route, as of IPv6 on a host without it, does not count while others
// of the name have one.
//
// Thread: the loop's. The constructor may run on another, before the loop runs.
class ServerDirectory {
 public:
  struct Location {
    std::size_t rank = 0;  // in nfs.servers
    boost::asio::ip::tcp::endpoint endpoint;
  };

  // Calls `changed`, on the loop, after each lookup that has ended.
  ServerDirectory(const ClientContext& client_context, std::function<void()> changed);
  ~ServerDirectory();
  ServerDirectory(const ServerDirectory&) = delete;
  ServerDirectory& operator=(const ServerDirectory&) = delete;

  // Looks up all names again, because a server is away: each at most once in 5 seconds.
  void look_again();

  // Returns all endpoints that are known, in the order of nfs.servers. One may be there twice.
  [[nodiscard]] std::vector<Location> locations() const;
  // Whether each name was looked up once, with or without success.
  [[nodiscard]] bool is_complete() const;
  // Returns why names could not be resolved, last tried. Nothing while a name has neither addresses nor a reason.
  [[nodiscard]] std::optional<std::vector<std::string>> failures() const;

 private:
  struct Host;  // one entry of nfs.servers

  void resolve(Host& host);
  void resolve_at(Host& host, Clock::Instant when);
  void take(Host& host, const std::vector<boost::asio::ip::address>& addresses);
  void fail(Host& host, const std::string& why);

  const ClientContext& client_context_;
  std::function<void()> changed_;
  std::vector<std::unique_ptr<Host>> hosts_;
};

}  // namespace qatime::nfs
