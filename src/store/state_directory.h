// SPDX-License-Identifier: MIT
// The directory for what has to survive the daemon.
#pragma once

#include <string>

#include "store/file_descriptor.h"

namespace qatime::backlog {

// Where none is configured: the first of $STATE_DIRECTORY (systemd.exec(5)), else /var/lib/qatime for root, else
// $XDG_STATE_HOME/qatime (XDG Base Directory Specification), else ~/.local/state/qatime. Throws ConfigError if the
// environment says nothing of these.
[[nodiscard]] std::string default_directory();

// A directory that is ours alone until this goes.
class StateDirectory {
 public:
  // Makes the directory `path`, 0700, if it is missing, and takes its lock, the file `lock` in it; those above it are
  // made for the default directory only. Throws ConfigError if `path` is not absolute, on a network file system or
  // another process's, and StoreError if it cannot be made or written.
  explicit StateDirectory(const std::string& path);

  // Whether what is now at its path is still this directory. A lock that was deleted is none.
  [[nodiscard]] bool in_place() const noexcept;

 private:
  std::string lock_path_;
  FileDescriptor lock_;
};

}  // namespace qatime::backlog
