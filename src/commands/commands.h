// SPDX-License-Identifier: MIT
// The commands of qatime. Each prints its result on standard output and returns the exit status: 0 done, 1 the
// operation failed. What the user has to put right before anything can be done is thrown: ConfigError and UsageError
// (exit status 2), any other exception (exit status 1).
#pragma once

#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/timestamp.h"
#include "config/config.h"

namespace qatime::commands {

class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// What -c and --set say.
struct ConfigSource {
  std::string file;
  std::vector<std::string> settings;

  // The configuration. Throws ConfigError.
  [[nodiscard]] Config read() const { return load_config(file, settings); }

  // Likewise, with its [log] in force, or `least` if that says less than its level.
  [[nodiscard]] Config load(log::Level least = log::Level::debug) const;
};

// The daemon, until a signal ends it.
struct RunOptions {
  ConfigSource config;
  bool dry_run = false;  // decide and count, but set nothing
};
int run(const RunOptions& options);

// Whether the configuration is right; with more, whether it works.
struct CheckOptions {
  ConfigSource config;
  bool connect = false;               // try every server and export
  std::optional<std::string> record;  // what would become of this line
};
int check(const CheckOptions& options);

// Audit records, made or recorded, to a syslog listener.
struct SendOptions {
  std::string to;                    // tcp://HOST:PORT or udp://HOST:PORT
  std::string rate = "0";            // records per second, 0.001 to 1e9; 0: as fast as possible
  std::optional<std::string> count;  // records, 1 to 1e12; none: one for each path or line
  std::string operation = "fs_read_data";
  std::optional<std::string> time;  // RFC 3339; none: now
  std::vector<std::string> paths;
  std::string file;  // recorded lines instead of paths; "-": standard input
};
int send(const SendOptions& options);

// Recorded audit logs, through the stages of the daemon.
struct ReplayOptions {
  ConfigSource config;
  bool dry_run = false;           // decide and count, but set nothing
  std::string patience = "10m";   // without anything done; "0s": for ever
  std::vector<std::string> logs;  // files, plain or gzip; "-": standard input
};
int replay(const ReplayOptions& options);

// Path, file id, atime, mtime and ctime of each path.
struct StatOptions {
  ConfigSource config;
  std::vector<std::string> paths;
};
int stat(const StatOptions& options);

// Sets atime.
struct TouchOptions {
  ConfigSource config;
  std::optional<std::string> time;  // RFC 3339; none: now
  bool force = false;               // also to an earlier time than the server has
  std::vector<std::string> paths;
};
int touch(const TouchOptions& options);

// What the daemon says about itself.
struct StatusOptions {
  std::string url;       // of the daemon; empty: where that of this machine listens
  bool watch = false;    // again and again
  bool as_json = false;  // as the daemon says it
  bool ready = false;    // only whether records may be sent to it
};
int status(const StatusOptions& options);

int version();

// The time that --time gives; now if there is none. Throws UsageError.
[[nodiscard]] Time parse_time_option(const std::optional<std::string>& text);

}  // namespace qatime::commands
