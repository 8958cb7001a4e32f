// SPDX-License-Identifier: MIT
// An NFSv3 server in this process that does as it is told.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/timestamp.h"
#include "config/config.h"
#include "nfs/status.h"

namespace qatime::nfs::testing {

enum class Procedure { null, getport, mnt, getattr, lookup, setattr, readdirplus };

// One call as it came over the wire.
struct Request {
  Procedure procedure;
  std::string handle;         // GETATTR, SETATTR; of the directory for LOOKUP, READDIRPLUS
  std::string name;           // LOOKUP; the path for MNT
  std::optional<Time> atime;  // SETATTR with SET_TO_CLIENT_TIME
  bool sets_more = false;     // SETATTR of anything else
  std::optional<Time> guard;  // SETATTR
  std::uint64_t cookie = 0;   // READDIRPLUS, as what follows
  std::uint64_t verifier = 0;
  std::uint32_t dircount = 0;
  std::uint32_t maxcount = 0;
  std::uint32_t uid = 0;  // AUTH_SYS
  std::uint32_t gid = 0;
  std::uint32_t connection = 0;  // counted from 1 as accepted
  std::uint16_t source = 0;      // the client's port
};

// Whether it is a SETATTR with a guard.
[[nodiscard]] inline bool is_guarded(const Request& request) { return request.guard.has_value(); }

// The fate of a request. The default is to execute it and to answer.
struct Action {
  enum class Fault {
    none,
    silence,  // not executed, never answered
    execute_silently,
    drop,  // not executed, the connection is closed
    execute_and_drop,
    garbage,        // bytes that are no RPC message, as one record
    noise,          // random bytes without a record mark
    truncate,       // executed, half of the results missing
    wrong_xid,      // executed, the reply is to a call that was never made
    short_mark,     // executed, the record mark says half of what the record has
    long_mark,      // or twice that
    huge_mark,      // or the most that it can say
    fragments,      // executed, the record comes in two fragments
    dribble,        // executed, the reply comes byte by byte
    huge_handle,    // LOOKUP, MNT and READDIRPLUS: of 100 bytes
    no_attributes,  // where they are optional
    no_handles,     // READDIRPLUS
    oversize,       // READDIRPLUS: the whole directory, whatever was asked for
    crowd,          // READDIRPLUS: `entries` of 32 bytes in fragments of 1 MiB, whatever was asked for
    endless,        // fragments of 64 KiB, none of them the last
    empty,          // or of no bytes
    message,        // `message` behind the xid, whatever it is
    deny,           // MSG_DENIED, AUTH_ERROR, `auth_stat`
    rpc_mismatch,   // MSG_DENIED, too
    prog_unavail,   // and likewise the others of accept_stat
    prog_mismatch,
    proc_unavail,
    garbage_args,
    system_err,
  };
  Fault fault = Fault::none;
  std::optional<Status> status{};     // answered, not executed
  std::chrono::milliseconds delay{};  // before it is executed and answered
  std::uint32_t auth_stat = 1;        // AUTH_BADCRED
  std::size_t entries = 0;
  std::optional<std::uint32_t> port{};    // GETPORT: instead of the server's own
  std::vector<std::uint32_t> flavors{1};  // MNT: of authentication; 1 is AUTH_SYS
  std::string message{};
};

// Serves NFS, MOUNT and a portmapper that knows them on one TCP port of 127.0.0.1 (or of another loopback address), on
// a thread of its own, with a tree in memory. The kernel chooses the port, unless it is given. Runs from its
// construction on. Any thread may call it.
class ScriptedServer {
 public:
  explicit ScriptedServer(const std::string& address = "127.0.0.1", std::uint16_t port = 0);
  ~ScriptedServer();
  ScriptedServer(const ScriptedServer&) = delete;
  ScriptedServer& operator=(const ScriptedServer&) = delete;

  [[nodiscard]] std::uint16_t port() const;
  // For a client of this server: one export "/". The timeout is one that never passes, if nothing else is said.
  [[nodiscard]] NfsConfig config(std::chrono::milliseconds timeout = std::chrono::minutes{10}) const;

  // The tree: paths are absolute, their directories exist; "/" does from the beginning. Times of a new object are
  // 2020-01-01T00:00:00Z, and ctime grows by at least 1 ns with each change.
  struct Times {
    Time atime;
    Time mtime;
    Time ctime;
  };
  void add_directory(const std::string& path);
  void add_file(const std::string& path);
  void add_symlink(const std::string& path);
  void add_link(const std::string& path, const std::string& existing);
  void remove(const std::string& path);
  void rename(const std::string& path, const std::string& target);
  // Of a new object it is 0. SETATTR is refused to nobody for it.
  void set_owner(const std::string& path, std::uint32_t uid);
  // As somebody else would; the ctime changes.
  void set_atime(const std::string& path, Time atime);
  [[nodiscard]] Times times(const std::string& path) const;
  [[nodiscard]] std::string handle(const std::string& path) const;
  // All handles given out so far become stale; forget_handles() spares that of "/".
  void forget_handles();
  void forget_all_handles();
  // Only these can be mounted, else any directory.
  void set_exports(std::vector<std::string> paths);

  // The next `times` requests of this procedure for which `when` holds are treated so. Scripts apply in the order in
  // which they were given; each request takes the first that fits.
  static constexpr std::size_t kForEver = SIZE_MAX;
  using When = std::function<bool(const Request&)>;
  void script(Procedure procedure, Action action, std::size_t times = kForEver, When when = {});
  void clear_scripts();

  // The connections that are there; whether new ones are closed as soon as accepted.
  [[nodiscard]] std::size_t connections() const;
  void drop_connections();
  void close_new_connections(bool close);
  // The connection that sends the byte of a reply after so many more is closed before that byte, once.
  void cut_replies(std::size_t bytes);
  // Of replies, over all connections.
  [[nodiscard]] std::size_t bytes_sent() const;
  // Requests that were executed after a delay.
  [[nodiscard]] std::size_t late() const;
  // Stops listening and drops all connections; the tree stays. start() listens on the same port again.
  void stop();
  void start();

  // Received so far.
  [[nodiscard]] std::vector<Request> requests() const;
  [[nodiscard]] std::size_t count(Procedure procedure) const;
  void clear_requests();

 private:
  class Server;
  std::unique_ptr<Server> server_;
};

}  // namespace qatime::nfs::testing
