// SPDX-License-Identifier: MIT
// The error of a disk that refuses.
#pragma once

#include <stdexcept>

namespace qatime::backlog {

// The disk, the file system or SQLite refused. The text is one line for an administrator: the file and the reason.
class StoreError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace qatime::backlog
