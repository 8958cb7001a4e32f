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

// Batches as rows on the disk: appended, read and deleted. The store does not look into them.
//
// Guarantee: commit() is all or nothing, and survives a loss of power.
// Failure: if the disk refuses, a call throws StoreError. Nothing has changed, and the same call might succeed later.
// Opening is such a call: a store that could not be opened is opened by the first call that can.
// Damage: a damaged file or row is kept as DIRECTORY/backlog.db.corrupt-TIME, and a log line says so. The readable
// batches remain, the latest that there is room for, and deleted ones might come back in rows(). Of the files that are
// kept so, the latest kMostKept stay.
// Replacement: if the file or directory was deleted or replaced, commit() makes it again with all readable batches.
// Thread: one at a time; every call might wait for the disk.
class Store {
 public:
  using StoredRow = LogFile::StoredRow;

  static constexpr std::size_t kMostKept = 5;

  // Opens DIRECTORY/backlog.db, if the disk takes it. Makes it and the directory if they are missing (see
  // StateDirectory). Throws ConfigError if an administrator has to decide.
  explicit Store(const std::string& directory);
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;
  ~Store() = default;

  // Returns the rows in order of sequence, without reading the blobs. The first call, because what is committed has
  // later sequences.
  [[nodiscard]] std::vector<StoredRow> rows();

  // Adds `batches` and deletes the rows `unneeded`, some of which may be gone. After a StoreError, other batches with
  // the same sequences may be added.
  void commit(std::span<const Batch* const> batches, std::span<const std::uint64_t> unneeded);
  void commit(const Batch* batch, std::span<const std::uint64_t> unneeded) {
    commit({&batch, batch ? 1U : 0U}, unneeded);
  }

  // Returns nothing if there is no such row, or if it is damaged.
  [[nodiscard]] std::optional<Batch> read(std::uint64_t sequence);
  // Returns Batch::changes alone, without reading the entries.
  [[nodiscard]] std::optional<std::string> read_changes(std::uint64_t sequence);

  // The bytes on the disk, without free pages.
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
  [[nodiscard]] std::uint64_t first_within(std::uint64_t room) const;
  std::string replace(const std::function<void(LogFile&)>& fill);
  std::string finish_replacement();
  void set_aside(std::uint64_t sequence);
  [[nodiscard]] std::string unused_name() const;
  void forget_oldest() const;
  template <class Call>
  auto despite_damage(const Call& call);

  std::string directory_path_;
  std::string path_;
  std::optional<StateDirectory> directory_;  // once it is there
  bool was_open_ = false;
  std::unique_ptr<LogFile> file_;  // none at first, and after some errors
  Identities identities_;
  std::string damaged_rows_;  // the file for them, once there is one
  log::Throttle untidy_;
};

}  // namespace qatime::backlog
