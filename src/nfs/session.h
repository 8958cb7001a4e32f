// SPDX-License-Identifier: MIT
// NFS for commands: a session that does one thing at a time and waits for it.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "base/path.h"
#include "config/config.h"
#include "nfs/client.h"
#include "telemetry/metrics.h"

namespace boost::asio {
class io_context;  // NOLINT(readability-identifier-naming)
}

namespace qatime::nfs {

class LibnfsClient;

// No server gives the export: one line that says which server, what failed, and what to look at.
class Unreachable : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// A client with its own loop, which runs only inside the calls. A call waits for each reply for nfs.timeout at most,
// and before that for the export half a second longer. One thread.
class Session {
 public:
  // Begins to connect to the servers of `config`.
  explicit Session(const NfsConfig& config);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  struct Found {
    Status status = Status::ok;
    std::string component;  // the name at which it ended unless ok; empty for the root of the export
    std::size_t export_index = 0;
    Object object;  // with attributes, if ok
  };
  // Resolves a normal path, name by name, and follows no symlink. Throws Unreachable, also for a path below no export.
  [[nodiscard]] Found walk(std::string_view path);

  struct Result {
    Status status = Status::ok;
    std::optional<Attributes> attributes;
  };
  [[nodiscard]] Result getattr(std::size_t export_index, const Handle& object);
  // Returns the entries of the first page of a directory (READDIRPLUS) that come with a handle, "." and ".." among
  // them. None if the server refuses.
  [[nodiscard]] std::vector<Object> first_page(std::size_t export_index, const Handle& directory);
  // As Client::set_atime.
  [[nodiscard]] Result set_atime(std::size_t export_index, const Handle& object, Time atime, std::optional<Time> guard);

  // Returns the root of an export. Throws Unreachable.
  [[nodiscard]] Handle root(std::size_t export_index);

 private:
  [[nodiscard]] Found lookup(std::size_t export_index, const Handle& directory, std::string_view name);
  void run_until(const bool& done);

  NfsConfig config_;
  Exports exports_;
  metrics::Registry registry_;
  std::unique_ptr<boost::asio::io_context> io_;
  std::unique_ptr<LibnfsClient> client_;
};

// Runs `io`, the loop of `client`, until an export is mounted: for nfs.timeout and half a second at most. Throws
// Unreachable.
Handle await_root(boost::asio::io_context& io, const LibnfsClient& client, const NfsConfig& config,
                  std::size_t export_index);

}  // namespace qatime::nfs
