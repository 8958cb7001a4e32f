// SPDX-License-Identifier: MIT
// The store: the log file, and what is done when it is damaged or refuses.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/log.h"
#include "store/batch.h"
#include "store/file_descriptor.h"
#include "store/log_file.h"
#include "store/state_directory.h"
#include "store/store_error.h"

namespace qatime::backlog {

// What is pending, as rows on the disk: batches that are appended, read and deleted. It knows nothing of what is in
// them. One thread at a time; every call may wait for the disk.
//
// What the disk refuses is a StoreError: nothing has changed, and the same call may succeed later. What is damaged is
// kept in DIRECTORY/backlog.db.corrupt-TIME and said in the log, and what can still be read of it goes on; batches
// that had been deleted may come back then, in rows(). A file or directory that is deleted or replaced meanwhile is
// made again, with all that was in it.
class Store {
 public:
  using StoredRow = LogFile::StoredRow;

  // Opens DIRECTORY/backlog.db, and makes it and the directory where they are missing (StateDirectory says more).
  // Throws ConfigError for what an administrator has to decide, else StoreError.
  explicit Store(const std::string& directory);
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;
  ~Store() = default;

  // In order of sequence, without reading what is in them.
  [[nodiscard]] std::vector<StoredRow> rows();

  // Adds `batches` and deletes the rows `unneeded`, some of which may be gone: all or nothing. It survives a loss
  // of power once this returns. After a StoreError others with the same sequences may be added.
  void commit(std::span<const Batch* const> batches, std::span<const std::uint64_t> unneeded);
  void commit(const Batch* batch, std::span<const std::uint64_t> unneeded) {
    commit({&batch, batch ? 1U : 0U}, unneeded);
  }

  // Nothing if there is no such row, or none that is right.
  [[nodiscard]] std::optional<Batch> read(std::uint64_t sequence);
  // Batch::changes alone, without reading the entries.
  [[nodiscard]] std::optional<std::string> read_changes(std::uint64_t sequence);

  // On the disk, without what is free for reuse.
  [[nodiscard]] std::size_t bytes();

 private:
  struct Identities {
    std::optional<FileIdentity> file;
    std::optional<FileIdentity> log;  // once there is one
  };

  [[nodiscard]] LogFile& file();
  void open();
  void close() noexcept;
  [[nodiscard]] bool in_place() const noexcept;
  void move_back();
  void rescue(const std::string& why);
  std::string replace(const std::function<void(LogFile&)>& fill);
  std::string finish_replacement();
  void set_aside(std::uint64_t sequence);
  [[nodiscard]] std::string unused_name() const;
  template <class Call>
  auto despite_damage(const Call& call);

  std::string directory_path_;
  std::string path_;
  StateDirectory directory_;
  bool is_open_ = false;           // once the constructor has ended
  std::unique_ptr<LogFile> file_;  // none after some errors
  Identities identities_;
  std::string damaged_rows_;  // the file for them, once there is one
  log::Throttle untidy_;
};

}  // namespace qatime::backlog
