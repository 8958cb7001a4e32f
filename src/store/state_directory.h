// SPDX-License-Identifier: MIT
// The directory for what has to survive the daemon.
#pragma once

#include <string>

#include "store/file_descriptor.h"

namespace qatime::backlog {

// Returns the directory for when none is configured. It is the first path in $STATE_DIRECTORY (systemd.exec(5)), else
// /var/lib/qatime for root, else $XDG_STATE_HOME/qatime (XDG Base Directory Specification), else ~/.local/state/qatime.
// Throws ConfigError if the environment names none of these.
[[nodiscard]] std::string default_directory();

// Throws ConfigError if `path` is not absolute or on a network file system, and StoreError if it cannot be looked at.
void refuse_place(const std::string& path);

// A directory that is ours alone during the lifetime of this object.
class StateDirectory {
 public:
  // Makes the directory `path`, 0700, if it is missing, and takes its lock, the file `lock` in it. Makes its parents
  // for the default directory only. Throws ConfigError if `path` is not absolute, is on a network file system, or is
  // locked by another process. Throws StoreError if it cannot be made or written.
  explicit StateDirectory(const std::string& path);

  // Whether the path still leads to this directory and its lock. False if the lock file was deleted.
  [[nodiscard]] bool in_place() const noexcept;

 private:
  std::string lock_path_;
  FileDescriptor lock_;
};

}  // namespace qatime::backlog
