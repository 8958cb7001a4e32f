// SPDX-License-Identifier: MIT
// An open file, closed by its destructor.
#pragma once

#include <cerrno>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/store_error.h"

namespace qatime::backlog {

// Returns the error "FILE: reason", by errno.
[[nodiscard]] inline StoreError system_error(const std::string& file) {
  return StoreError{fmt::format("{}: {}", file, std::generic_category().message(errno))};
}

// An open file.
class FileDescriptor {
 public:
  // Opens `file`. A file that it creates is for its owner alone (0600). Throws StoreError.
  FileDescriptor(const std::string& file, int flags) : number_{::open(file.c_str(), flags | O_CLOEXEC, 0600)} {
    if (number_ < 0) throw system_error(file);
  }
  FileDescriptor(FileDescriptor&& other) noexcept : number_{std::exchange(other.number_, -1)} {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~FileDescriptor() {
    if (number_ >= 0) ::close(number_);
  }

  [[nodiscard]] int number() const noexcept { return number_; }

 private:
  int number_;
};

// Distinguishes a file from another that took its name.
struct FileIdentity {
  dev_t device;
  ino_t number;
  friend bool operator==(const FileIdentity&, const FileIdentity&) = default;
};

// Returns whether there is such a file. Throws StoreError if it cannot be looked at.
[[nodiscard]] inline bool exists(const std::string& file) {
  struct stat status{};
  if (::stat(file.c_str(), &status) == 0) return true;
  if (errno != ENOENT) throw system_error(file);
  return false;
}

// Returns nothing if there is no such file, or if it cannot be looked at.
[[nodiscard]] inline std::optional<FileIdentity> identity(const std::string& file) noexcept {
  struct stat status{};
  if (::stat(file.c_str(), &status) != 0) return std::nullopt;
  return FileIdentity{status.st_dev, status.st_ino};
}

}  // namespace qatime::backlog
