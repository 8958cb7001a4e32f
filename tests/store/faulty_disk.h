// SPDX-License-Identifier: MIT
// A disk for SQLite that fails as it is told to: it is the default VFS while it lives, and keeps its files where they
// are, in the file system.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <sqlite3.h>

class FaultyDisk {
 public:
  FaultyDisk();
  FaultyDisk(const FaultyDisk&) = delete;
  FaultyDisk& operator=(const FaultyDisk&) = delete;
  ~FaultyDisk();

  // Lets `calls` calls (open, read, write, truncate, sync, delete) pass and then fails `times` of them.
  void fail_after(std::size_t calls, std::size_t times);
  // Calls `also` at each sync, when all that was written before is in the file system. It may open databases.
  void on_sync(std::function<void()> also) { on_sync_ = std::move(also); }
  // Whether one has failed since.
  [[nodiscard]] bool failed() const { return failed_; }

  // After the power is gone (all calls fail from then on) and everybody has closed its files: leaves in the file
  // system what a real disk might have left. Of what was not synced since, some sectors are there and others not; a
  // file that was never synced, or whose deletion was not, may be there or not. Then the power is back.
  void lose_what_was_not_synced(std::mt19937& random);

  // For the functions of the VFS:
  struct Change {
    std::size_t offset;
    std::string bytes;
    bool truncates;  // to `offset`
  };
  struct File {
    std::string synced;  // the content, as it was then
    bool durable = false;
    bool deleted = false;
    std::vector<Change> changes;  // since
  };
  [[nodiscard]] bool fails();
  void at_sync() const {
    if (on_sync_) on_sync_();
  }
  [[nodiscard]] File& file(const std::string& name) { return files_[name]; }
  void forget(const std::string& name) { files_.erase(name); }
  [[nodiscard]] sqlite3_vfs* real() const { return real_; }

 private:
  sqlite3_vfs* real_;
  sqlite3_vfs vfs_;
  std::function<void()> on_sync_;
  std::map<std::string, File> files_;
  std::size_t calls_left_ = SIZE_MAX;
  std::size_t failures_left_ = 0;
  bool failed_ = false;
};
