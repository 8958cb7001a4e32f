// SPDX-License-Identifier: MIT
// The error of a disk that refuses.
#pragma once

#include <stdexcept>

namespace qatime::backlog {

// What the disk, the file system or SQLite refused. One line for an administrator: which file, and why.
class StoreError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace qatime::backlog
