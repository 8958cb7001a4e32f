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
    std::uint16_t port;   // 0: any free one
    friend bool operator==(const Listener&, const Listener&) = default;
  };
  std::vector<Listener> listen{{Listener::Transport::tcp, "0.0.0.0", 1514},
                               {Listener::Transport::udp, "0.0.0.0", 1514}};
  std::vector<Network> allow;                 // who may send; empty: everyone
  std::size_t max_message = 256 << 10;        // bytes, 1 KiB to 8 MiB
  std::size_t max_connections = 1024;         // TCP, 1 to 1,000,000
  std::size_t udp_receive_buffer = 16 << 20;  // bytes asked of the kernel, 4 KiB to 1 GiB
  TimeZone rfc3164_timezone;                  // of times without one

  // Files in PEM form; for listeners of tls.
  struct Tls {
    std::string certificate;  // ours, then those of its issuers
    std::string key;
    std::string client_ca;                     // who issues certificates of clients; "": clients need none
    std::vector<std::string> permitted_peers;  // names in certificates of clients; empty: any
  };
  Tls tls;

  // Whether one of `listen` is of tls.
  [[nodiscard]] bool uses_tls() const;
};

// An empty list to include has everything; what is excluded is so even if it is included.
struct PolicyConfig {
  std::vector<std::string> clusters;  // the names of ours; empty: any
  std::vector<std::string> operations{"fs_read_data", "fs_write_data", "fs_list_directory"};
  std::vector<std::string> include_paths{"/"};  // normal; with all below them
  std::vector<std::string> exclude_paths;
  std::vector<std::string> include_users;  // without case
  std::vector<std::string> exclude_users;
  std::vector<Network> include_clients;
  std::vector<Network> exclude_clients;
  std::vector<std::string> include_protocols;  // without case
  std::vector<std::string> exclude_protocols;
  std::vector<std::string> self;  // our addresses as the cluster sees them
  enum class Mode { strict, relatime };
  Mode mode = Mode::strict;                                        // which newer times are set
  std::chrono::nanoseconds threshold = std::chrono::hours{24};     // for relatime
  std::chrono::nanoseconds granularity{};                          // the least step forward
  std::chrono::nanoseconds future_limit = std::chrono::hours{24};  // 0: none
};

struct BacklogConfig {
  enum class Kind { local, redis };
  Kind kind = Kind::local;
  std::size_t memory = 256 << 20;           // bytes, at least 1 MiB
  std::size_t disk = std::size_t{8} << 30;  // bytes, at least 16 MiB
  std::chrono::milliseconds commit{100};    // until what is new is on disk, 10 ms to 10 s
  std::string directory{};                  // absolute; "": as store/state_directory.h says
};

// The shared backlog, where BacklogConfig::kind is redis.
struct RedisConfig {
  struct Endpoint {
    std::string host;
    std::uint16_t port;
    friend bool operator==(const Endpoint&, const Endpoint&) = default;
  };
  // What `redis.url` says.
  struct Url {
    Endpoint server{"127.0.0.1", 6379};
    unsigned database = 0;
    bool uses_tls = false;
    friend bool operator==(const Url&, const Url&) = default;
  };
  Url url;
  std::string user;                 // "": the default one
  std::string password_file;        // its first line; "": no password
  std::vector<Endpoint> sentinels;  // who know where the master is; empty: it is that of `url`
  std::string master = "mymaster";
  std::string prefix = "qatime";                               // of all keys
  std::size_t shards = 64;                                     // 1 to 1,024; the same for all who share a backlog
  std::chrono::milliseconds lease = std::chrono::seconds{30};  // of a shard, 1 s to 10 min
  std::size_t wait_replicas = 0;                               // that have to acknowledge what is handed over, 0 to 16
};

struct NfsConfig {
  struct Server {
    std::string host;        // a name or a numeric address
    std::uint16_t port = 0;  // of NFS; 0: `NfsConfig::port`
    friend bool operator==(const Server&, const Server&) = default;
  };
  struct Export {
    std::string path;    // normal; what audit paths begin with
    std::string target;  // what is mounted for it; the key is `export`
    friend bool operator==(const Export&, const Export&) = default;
  };
  static constexpr std::size_t kMostPerConnection = 500;  // outstanding requests that one connection carries

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
  bool readdirplus = true;  // read a directory where that is cheaper than looking up the names that wait in it
  std::vector<Export> exports{{"/", "/"}};

  // In their order.
  [[nodiscard]] Exports export_paths() const;
};

struct AdminConfig {
  struct ListenAddress {
    std::string address;  // numeric, IPv4 or IPv6
    std::uint16_t port;   // 0: any free one
    friend bool operator==(const ListenAddress&, const ListenAddress&) = default;
  };
  std::optional<ListenAddress> listen{ListenAddress{"127.0.0.1", 9514}};  // of HTTP; none: off
};

struct LogConfig {
  log::Level level = log::Level::info;
  log::Format format = log::Format::text;
};

// One line that says where (file, line, column or the --set that is wrong), which key, what is wrong and what is
// allowed. It ends the program, or the reload.
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
  std::map<std::string, std::string> places;  // where each key that is set was set last, as messages have it

  // That the value of `key` turns out to be wrong; `what` follows its name.
  [[nodiscard]] ConfigError error(const std::string& key, std::string_view what) const;
};

inline constexpr const char* kDefaultConfigFile = "/etc/qatime/qatime.toml";

// Reads `file` (empty: kDefaultConfigFile, which need not exist) and then `settings`, each "key=value" with a dotted
// key and a TOML value, or a bare word for a string; a setting replaces what the file says, arrays whole. Throws
// ConfigError.
[[nodiscard]] Config load_config(const std::string& file, std::span<const std::string> settings);

// Every key that a configuration may have, dotted: "nfs.port".
[[nodiscard]] std::vector<std::string> config_keys();

// Whether a change of the key comes into force at SIGHUP; else it needs a restart.
[[nodiscard]] bool is_reloadable(std::string_view key);

// The keys whose values have changed, dotted.
struct ConfigChanges {
  std::vector<std::string> in_force;
  std::vector<std::string> at_restart;
};

// Makes `current` what `next` says, but for keys that need a restart.
ConfigChanges reconfigure(Config& current, Config next);

}  // namespace qatime
