// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "backlog/batch.h"
#include "backlog/log_file.h"
#include "backlog/store_error.h"

namespace qatime::backlog {

// What is pending, as rows on the disk: batches that are appended, read and deleted. It knows nothing of what is in
// them. One thread at a time; every call may wait for the disk. What the disk refuses is a StoreError: it leaves
// everything as it was, and the same call may succeed later.
class Store {
 public:
  using Row = LogFile::Row;

  // Opens DIRECTORY/backlog.db. Throws ConfigError for what an administrator has to decide, else StoreError.
  explicit Store(const std::string& directory);

  // In order of sequence, without reading what is in them.
  [[nodiscard]] std::vector<Row> rows() const;

  // Adds `batches` and deletes the rows `dead`, of which some may be gone already: all or nothing. It survives a loss
  // of power once this returns.
  void commit(std::span<const Batch* const> batches, std::span<const std::uint64_t> dead);
  void commit(const Batch* batch, std::span<const std::uint64_t> dead) { commit({&batch, batch ? 1U : 0U}, dead); }

  // Nothing if there is no such row.
  [[nodiscard]] std::optional<Batch> read(std::uint64_t sequence);
  // Batch::changes alone, without reading the entries.
  [[nodiscard]] std::optional<std::string> read_changes(std::uint64_t sequence);

  // On the disk, without what is free for reuse.
  [[nodiscard]] std::size_t bytes() const;

 private:
  std::unique_ptr<LogFile> file_;
};

}  // namespace qatime::backlog
