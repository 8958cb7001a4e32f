// SPDX-License-Identifier: MIT
// The configuration: the keys of qatime.toml, their defaults and units.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "base/address.h"
#include "base/log.h"
#include "base/path.h"
#include "base/timezone.h"

namespace qatime {

struct SyslogConfig {
  struct Listener {
    enum class Transport { tcp, udp, tls };
    Transport transport;
    std::string address;  // numeric, IPv4 or IPv6
    std::uint16_t port;   // 0: any free port
    friend bool operator==(const Listener&, const Listener&) = default;
  };
  std::vector<Listener> listen{{Listener::Transport::tcp, "0.0.0.0", 1514},
                               {Listener::Transport::udp, "0.0.0.0", 1514}};
  std::vector<Network> allow;                 // networks of senders; empty: any
  std::vector<Network> proxy_from;            // networks of balancers, which begin with a PROXY header
  std::size_t max_message = 256 << 10;        // bytes, 1 KiB to 8 MiB
  std::size_t max_connections = 1024;         // TCP, 1 to 1,000,000
  std::size_t udp_receive_buffer = 16 << 20;  // bytes asked of the kernel, 4 KiB to 1 GiB
  TimeZone rfc3164_timezone;                  // for times that name none

  // Files in PEM form, for tls listeners.
  struct Tls {
    std::string certificate;  // ours, then those of its issuers
    std::string key;
    std::string client_ca;                     // CA certificates for clients; "": clients need no certificate
    std::vector<std::string> permitted_peers;  // names in client certificates; empty: any
  };
  Tls tls;

  // Whether one of `listen` uses tls.
  [[nodiscard]] bool uses_tls() const;
};

// An empty include list includes everything. Exclusion wins over inclusion.
struct PolicyConfig {
  std::vector<std::string> clusters;  // names; empty: any
  std::vector<std::string> operations{"fs_read_data", "fs_write_data", "fs_list_directory"};
  std::vector<std::string> include_paths{"/"};  // normal; each with all paths below it
  std::vector<std::string> exclude_paths;
  std::vector<std::string> include_users;  // case-insensitive
  std::vector<std::string> exclude_users;
  std::vector<Network> include_clients;
  std::vector<Network> exclude_clients;
  std::vector<std::string> include_protocols;  // case-insensitive
  std::vector<std::string> exclude_protocols;
  std::vector<std::string> self;  // our addresses as the cluster sees them
  enum class Mode { strict, relatime };
  Mode mode = Mode::strict;                                         // which newer atimes qatime sets
  std::chrono::nanoseconds threshold = std::chrono::hours{24};      // for relatime
  std::chrono::nanoseconds granularity{};                           // the smallest step forward
  std::chrono::nanoseconds future_limit = std::chrono::minutes{5};  // 0: none
  bool repair_future = false;                                       // sets back what is further ahead on the server
};

struct BacklogConfig {
  enum class Kind { local, redis };
  Kind kind = Kind::local;
  std::size_t memory = 256 << 20;           // bytes, at least 1 MiB
  std::size_t disk = std::size_t{8} << 30;  // bytes, at least 16 MiB
  std::chrono::milliseconds commit{100};    // between two commits to disk, 10 ms to 10 s
  std::string directory{};                  // absolute; "": the default of store/state_directory.h
};

// The shared backlog, where BacklogConfig::kind is redis.
struct RedisConfig {
  struct Endpoint {
    std::string host;
    std::uint16_t port;
    friend bool operator==(const Endpoint&, const Endpoint&) = default;
  };
  // The parts of `redis.url`.
  struct Url {
    Endpoint server{"127.0.0.1", 6379};
    unsigned database = 0;
    bool uses_tls = false;
    friend bool operator==(const Url&, const Url&) = default;
  };
  Url url;
  std::string user;                 // "": the default user
  std::string password_file;        // its first line is the password; "": no password
  std::vector<Endpoint> sentinels;  // they tell the master's address; empty: `url` does
  std::string master = "mymaster";
  std::string prefix = "qatime";                               // of all keys in Redis
  std::size_t shards = 64;                                     // 1 to 1,024; equal on all instances that share
  std::chrono::milliseconds lease = std::chrono::seconds{30};  // of a shard, 1 s to 10 min
  std::size_t wait_replicas = 0;                               // replicas that must acknowledge a write, 0 to 16
};

struct NfsConfig {
  struct Server {
    std::string host;        // a name or a numeric address
    std::uint16_t port = 0;  // of NFS; 0: `NfsConfig::port`
    friend bool operator==(const Server&, const Server&) = default;
  };
  struct Export {
    std::string path;    // normal; the prefix of its audit paths
    std::string target;  // the path to mount; the key is `export`
    friend bool operator==(const Export&, const Export&) = default;
  };
  static constexpr std::size_t kMostPerConnection = 500;  // requests in flight on one connection

  std::vector<Server> servers{{"127.0.0.1"}};
  std::uint16_t port = 0;        // 0: ask the portmapper
  std::uint16_t mount_port = 0;  // 0: ask the portmapper
  std::uint32_t uid = 0;         // AUTH_SYS
  std::uint32_t gid = 0;
  std::size_t connections = 1;                                   // per server, 1 to 64
  std::size_t max_in_flight = 64;                                // requests per server, 1 to 4,096
  std::size_t max_rate = 0;                                      // updates per second, 0 to 1,000,000; 0: no limit
  std::chrono::milliseconds timeout = std::chrono::seconds{10};  // of one request, 100 ms to 10 min
  std::size_t handle_cache = 100'000;                            // directories, at least 1
  std::chrono::milliseconds handle_ttl = std::chrono::seconds{60};
  bool readdirplus = true;  // read a directory where that is cheaper than a LOOKUP for each waiting name
  std::vector<Export> exports{{"/", "/"}};

  // Returns the paths of `exports`, in the same order.
  [[nodiscard]] Exports export_paths() const;
};

struct AdminConfig {
  struct ListenAddress {
    std::string address;  // numeric, IPv4 or IPv6
    std::uint16_t port;   // 0: any free port
    friend bool operator==(const ListenAddress&, const ListenAddress&) = default;
  };
  std::optional<ListenAddress> listen{ListenAddress{"127.0.0.1", 9514}};  // for HTTP; nothing: off
  std::vector<std::string> hosts;  // names that it answers to besides, in small letters
};

struct LogConfig {
  log::Level level = log::Level::info;
  log::Format format = log::Format::text;
};

// An error in the configuration. Its line names the place (file, line and column, or the --set), the key, the fault and
// the allowed values. It ends the program, or the reload.
class ConfigError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct Config {
  SyslogConfig syslog;
  PolicyConfig policy;
  BacklogConfig backlog;
  RedisConfig redis;
  NfsConfig nfs;
  AdminConfig admin;
  LogConfig log;
  std::map<std::string, std::string> places;  // by key: the file:line:column or --set that set it last

  // Returns the error for a value of `key` that is wrong. `what` follows the key in the line.
  [[nodiscard]] ConfigError error(const std::string& key, std::string_view what) const;
};

inline constexpr const char* kDefaultConfigFile = "/etc/qatime/qatime.toml";

// Reads `file`, then `settings`. If `file` is empty, reads kDefaultConfigFile, which need not exist. A setting is
// "key=value": a dotted key, and a TOML value or a bare word for a string. It replaces the value of the file, arrays as
// a whole. Throws ConfigError.
[[nodiscard]] Config load_config(const std::string& file, std::span<const std::string> settings);

// Returns every key that a configuration may have, dotted: "nfs.port".
[[nodiscard]] std::vector<std::string> config_keys();

// Whether a changed value of `key` takes effect at SIGHUP. Otherwise it needs a restart.
[[nodiscard]] bool is_reloadable(std::string_view key);

// The keys whose values changed, dotted, by when the change takes effect.
struct ConfigChanges {
  std::vector<std::string> in_force;
  std::vector<std::string> at_restart;
};

// Replaces `current` with `next`, except for keys that need a restart. Returns the keys that differ.
ConfigChanges reconfigure(Config& current, Config next);

}  // namespace qatime
