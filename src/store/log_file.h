// SPDX-License-Identifier: MIT
// The durable log in one SQLite file: rows that are appended and deleted.
//
//   CREATE TABLE batch (
//     sequence    INTEGER PRIMARY KEY,  -- Batch::sequence
//     written     INTEGER NOT NULL,     -- nanoseconds since 1970-01-01T00:00:00Z
//     accesses    INTEGER NOT NULL,     -- the number in `entries`
//     changes_count INTEGER NOT NULL,   -- the number in `changes`
//     changes_crc INTEGER NOT NULL,     -- checksum.h
//     entries_crc INTEGER NOT NULL,
//     changes     BLOB NOT NULL,        -- codec.h
//     entries     BLOB NOT NULL
//   ) STRICT
//
// `PRAGMA application_id` is 0x71617469 ("qati"), `PRAGMA user_version` is the version of the format, 1. A file that
// has this table and neither number is of version 1, too. While qatime is stopped, the program sqlite3 can open it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "store/batch.h"
#include "store/sqlite.h"

namespace qatime::backlog {

class LogFile {
 public:
  struct StoredRow {
    std::uint64_t sequence;
    Time written;
    std::uint32_t accesses;
    std::uint32_t changes;
    std::size_t bytes;  // of both blobs
  };

  // Throws ConfigError if `file` is not ours or newer than we are, and StoreError if it cannot be read. Leaves it and
  // its write-ahead log alone. Says nothing of one that is missing, empty or damaged.
  static void refuse_others(const std::string& file);

  // Opens `file`, which may be empty, and is not refused. Writes nothing to one that has something in it. All errors
  // from here on are sqlite::Error.
  explicit LogFile(const std::string& file);

  // Returns the rows in order of sequence, without reading the blobs.
  [[nodiscard]] std::vector<StoredRow> rows();

  // A row as it was found; `right` if its checksums match.
  struct StoredBatch {
    Batch batch;
    bool right;
  };
  [[nodiscard]] std::optional<StoredBatch> read(std::uint64_t sequence);
  // Reads a row without its entries.
  [[nodiscard]] std::optional<StoredBatch> read_changes(std::uint64_t sequence);

  // In a transaction:
  void mark();                      // sets the numbers that say whose it is, if they are not
  void insert(const Batch& batch);  // replaces a row of the same sequence
  void erase(std::uint64_t sequence);
  void shrink();  // gives some pages back to the file system if most are free

  // Copies committed pages from the write-ahead log into the file once there are enough of them. An error loses
  // nothing.
  void tidy();

  // The bytes in use in the file and in the write-ahead log.
  [[nodiscard]] std::size_t bytes();

  [[nodiscard]] sqlite::Database& database() noexcept { return database_; }

 private:
  [[nodiscard]] std::size_t log_bytes() const noexcept;
  [[nodiscard]] static std::size_t count(sqlite::Statement& pragma);

  sqlite::Database database_;
  bool is_marked_;
  sqlite::Statement list_;
  sqlite::Statement read_;
  sqlite::Statement read_changes_;
  sqlite::Statement insert_;
  sqlite::Statement erase_;
  sqlite::Statement pages_;
  sqlite::Statement free_pages_;
  sqlite::Statement shrink_;
  std::size_t page_size_;
};

}  // namespace qatime::backlog
