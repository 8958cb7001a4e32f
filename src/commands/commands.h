// SPDX-License-Identifier: MIT
// The commands of qatime. Each prints its result on standard output and returns the exit status: 0 done, 1 failed.
// Throws ConfigError and UsageError for faults that the user must correct first; main makes them exit status 2, and
// every other exception exit status 1.
#pragma once

#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "base/timestamp.h"
#include "config/config.h"

namespace qatime::commands {

class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The values of -c and --set.
struct ConfigSource {
  std::string file;
  std::vector<std::string> settings;

  // Reads the configuration. Throws ConfigError.
  [[nodiscard]] Config read() const { return load_config(file, settings); }

  // Reads it and applies its [log]; the level is at least `least`. Throws ConfigError.
  [[nodiscard]] Config load(log::Level least = log::Level::debug) const;
};

// Runs the daemon until a signal ends it.
struct RunOptions {
  ConfigSource config;
  bool dry_run = false;  // decide and count, but set nothing
};
int run(const RunOptions& options);

// Checks the configuration and, if told to, the servers or one record.
struct CheckOptions {
  ConfigSource config;
  bool connect = false;               // try every server and export
  std::optional<std::string> record;  // explain this line
};
int check(const CheckOptions& options);

// Sends audit records, made up or recorded, to a syslog listener.
struct SendOptions {
  std::string to;                    // tcp://HOST:PORT or udp://HOST:PORT
  std::string rate = "0";            // records per second, 0.001 to 1e9; 0: as fast as possible
  std::optional<std::string> count;  // records, 1 to 1e12; nothing: one per path or line
  std::string operation = "fs_read_data";
  std::optional<std::string> time;  // RFC 3339; nothing: now
  std::vector<std::string> paths;
  std::string file;  // recorded lines instead of paths; "-": standard input
};
int send(const SendOptions& options);

// Reads recorded audit logs and applies them, through the stages of the daemon.
struct ReplayOptions {
  ConfigSource config;
  bool dry_run = false;              // decide and count, but set nothing
  std::optional<std::string> since;  // RFC 3339; earlier records are ignored
  std::optional<std::string> until;  // RFC 3339; later records, and those of this time, are ignored
  std::string patience = "10m";      // limit of time without progress; "0s": no limit
  std::vector<std::string> logs;     // files, plain or gzip; "-": standard input
};
int replay(const ReplayOptions& options);

// Prints path, file id, atime, mtime and ctime of each path.
struct StatOptions {
  ConfigSource config;
  std::vector<std::string> paths;
};
int stat(const StatOptions& options);

// Sets the atime of each path.
struct TouchOptions {
  ConfigSource config;
  std::optional<std::string> time;  // RFC 3339; nothing: now
  bool force = false;               // even to an earlier time than the server has
  std::vector<std::string> paths;
};
int touch(const TouchOptions& options);

// Prints the status of a daemon.
struct StatusOptions {
  std::string url;       // of the daemon; empty: the one on this machine
  bool watch = false;    // repeat
  bool as_json = false;  // print the daemon's JSON
  bool ready = false;    // tell only whether it is ready for records
};
int status(const StatusOptions& options);

int version();

// Returns the time that `option` gives as `text`, or `otherwise`. Throws UsageError unless the time is one of RFC 3339,
// with its offset, and NFSv3 can hold it.
[[nodiscard]] Time parse_time_option(std::string_view option, const std::optional<std::string>& text, Time otherwise);

}  // namespace qatime::commands
