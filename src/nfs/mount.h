// SPDX-License-Identifier: MIT
// The way to an NFS server: its ports and the roots of its exports.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/ip/tcp.hpp>

#include "nfs/client.h"
#include "nfs/rpc.h"

namespace qatime::nfs {

inline constexpr std::uint16_t kPortmapperPort = 111;

// Asks one server, once, for unknown ports and for the roots of exports: portmapper (RFC 1833 section 3), MOUNT (RFC
// 1813 section 5). The destructor forgets the question. Thread: the loop's.
class Mount {
 public:
  struct Root {
    std::size_t export_index = 0;
    Status status = Status::ok;
    Handle handle;
  };
  struct Mounted {
    std::string failure;  // why the server could not be asked, and what to do; empty if it could
    std::uint16_t nfs_port = 0;
    std::vector<Root> roots;  // in the order of `exports`
  };
  using Done = std::function<void(const Mounted&)>;

  // Calls `done` once, on the loop, not inside the constructor. `done` may destroy the Mount. The port of `server` is
  // the port of NFS, or 0 to ask the portmapper. `exports` holds indexes.
  Mount(const ClientContext& client_context, const boost::asio::ip::tcp::endpoint& server,
        std::vector<std::size_t> exports, Done done, std::uint16_t portmapper_port = kPortmapperPort);

 private:
  void ask_portmapper(std::uint16_t portmapper_port);
  void ask_mount_port();
  void ask_nfs_port();
  void open_mount_service();
  void ask_roots();
  void take_root(std::size_t index, Status status, const Handle& root);
  void finish(std::string failure);

  const ClientContext& client_context_;
  boost::asio::ip::address address_;
  std::uint16_t mount_port_;
  std::vector<std::size_t> exports_;
  Done done_;
  Mounted result_;
  std::size_t outstanding_ = 0;
  std::unique_ptr<Rpc> rpc_;
};

}  // namespace qatime::nfs
