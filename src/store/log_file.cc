// SPDX-License-Identifier: MIT
#include "store/log_file.h"

#include <bit>
#include <string_view>

#include <fmt/core.h>

#include "config/config.h"
#include "store/checksum.h"
#include "store/salvage.h"

namespace qatime::backlog {
namespace {

// Nothing else in the file shows a flipped bit of these. A later format differs from all before in two bits of its
// number or more (2, 4, 7, 8, ...) and in kSchema.
constexpr std::uint32_t kApplicationId = 0x71617469;  // "qati"
constexpr std::uint32_t kVersion = 1;

// No other process has a part in the file, so that SQLite needs no memory shared through another, which a disk in
// trouble would take away by a signal.
constexpr const char* kExclusive = "PRAGMA locking_mode = EXCLUSIVE";  // before the file is read

// Of a file that is made. They would be written to one that is there.
constexpr const char* kLayout =
    "PRAGMA page_size = 16384;"
    "PRAGMA auto_vacuum = INCREMENTAL";

constexpr const char* kSettings =
    "PRAGMA synchronous = EXTRA;"  // that of a log is FULL; the journal that makes the file must not come back
    "PRAGMA journal_mode = WAL;"
    "PRAGMA journal_size_limit = 50331648;"  // bytes
    "PRAGMA secure_delete = OFF;"
    "PRAGMA cell_size_check = ON;"
    "PRAGMA trusted_schema = OFF;"
    "PRAGMA temp_store = MEMORY;"
    "PRAGMA cache_size = -2048";

constexpr const char* kSchema =
    "CREATE TABLE batch ("
    "sequence INTEGER PRIMARY KEY, "
    "written INTEGER NOT NULL, "
    "accesses INTEGER NOT NULL, "
    "changes_count INTEGER NOT NULL, "
    "changes_crc INTEGER NOT NULL, "
    "entries_crc INTEGER NOT NULL, "
    "changes BLOB NOT NULL, "
    "entries BLOB NOT NULL"
    ") STRICT";

constexpr std::size_t kMaxLog = 32 << 20;    // bytes that are not yet in their place
constexpr std::size_t kMinFree = 16 << 20;   // bytes that may be free, whatever is in use
constexpr std::size_t kPagesPerCommit = 64;  // that shrink() gives back

void say_whose(sqlite::Database& database) {
  database.run(fmt::format("PRAGMA application_id = {}; PRAGMA user_version = {}", kApplicationId, kVersion).c_str());
}

void create_schema(sqlite::Database& database) {
  sqlite::Transaction transaction{database};
  database.run(kSchema);
  say_whose(database);
  transaction.commit();
}

// Of the first page (https://www.sqlite.org/fileformat.html#the_database_header).
std::uint32_t number_at(std::string_view page, std::size_t offset) {
  std::uint32_t number = 0;
  for (const char byte : page.substr(offset, 4)) number = number << 8 | static_cast<unsigned char>(byte);
  return number;
}

void check_version(std::string_view page, const std::string& file) {
  constexpr std::size_t kVersionAt = 60;
  constexpr std::size_t kApplicationAt = 68;
  constexpr std::size_t kCountAt = 103;  // of the rows of the schema
  const std::uint32_t application = number_at(page, kApplicationAt);
  const std::uint32_t version = number_at(page, kVersionAt);
  if (application == kApplicationId && version == kVersion) return;
  const bool has_no_number = application == 0 && version == 0;
  if (has_no_number && page.substr(kCountAt, 2) == std::string_view{"\0\0", 2}) return;
  const bool is_bit_flipped = std::popcount(application ^ kApplicationId) + std::popcount(version ^ kVersion) == 1;
  if ((has_no_number || is_bit_flipped) && page.find(kSchema) != page.npos) return;
  if (application != kApplicationId) {
    throw ConfigError{
        fmt::format("{} is not a backlog of qatime: move it away, or set another backlog.directory", file)};
  }
  throw ConfigError{
      fmt::format("{} is a backlog of format {}, and this qatime knows format {}: start the version of qatime that "
                  "wrote it, or move the file away, which loses what is in it",
                  file, version, kVersion)};
}

sqlite::Database open_log(const std::string& file) {
  sqlite::Database database{file};
  database.run(kExclusive);
  const bool is_new = database.number("PRAGMA page_count") == 0;
  if (is_new) database.run(kLayout);
  database.run(kSettings);
  database.stay_with_log();
  if (is_new || database.number("SELECT count(*) FROM sqlite_schema") == 0) create_schema(database);
  return database;
}

bool is_marked(sqlite::Database& database) {
  return database.number("PRAGMA application_id") == kApplicationId &&
         database.number("PRAGMA user_version") == kVersion;
}

// The numbers that all queries begin with.
Batch header(const sqlite::Rows& row) {
  Batch batch;
  batch.sequence = static_cast<std::uint64_t>(row.number(0));
  batch.written = Time{Time::duration{row.number(1)}};
  batch.accesses = static_cast<std::uint32_t>(row.number(2));
  batch.changes_count = static_cast<std::uint32_t>(row.number(3));
  return batch;
}

}  // namespace

void LogFile::refuse_others(const std::string& file) {
  if (const auto page = first_page(file)) check_version(*page, file);
}

LogFile::LogFile(const std::string& file)
    : database_{open_log(file)},
      is_marked_{is_marked(database_)},
      list_{database_,
            "SELECT sequence, written, accesses, changes_count, length(changes) + length(entries) FROM batch "
            "ORDER BY sequence"},
      read_{database_,
            "SELECT sequence, written, accesses, changes_count, changes_crc, changes, entries_crc, entries FROM batch "
            "WHERE sequence = ?"},
      read_changes_{database_,
                    "SELECT sequence, written, accesses, changes_count, changes_crc, changes FROM batch "
                    "WHERE sequence = ?"},
      insert_{database_, "INSERT OR REPLACE INTO batch VALUES (?, ?, ?, ?, ?, ?, ?, ?)"},
      erase_{database_, "DELETE FROM batch WHERE sequence = ?"},
      pages_{database_, "PRAGMA page_count"},
      free_pages_{database_, "PRAGMA freelist_count"},
      shrink_{database_, fmt::format("PRAGMA incremental_vacuum({})", kPagesPerCommit)},
      page_size_{static_cast<std::size_t>(database_.number("PRAGMA page_size"))} {}

std::vector<LogFile::StoredRow> LogFile::rows() {
  std::vector<StoredRow> all;
  sqlite::Rows row = list_.with();
  while (row.next()) {
    const Batch batch = header(row);
    all.push_back(
        {batch.sequence, batch.written, batch.accesses, batch.changes_count, static_cast<std::size_t>(row.number(4))});
  }
  return all;
}

std::optional<LogFile::StoredBatch> LogFile::read(std::uint64_t sequence) {
  sqlite::Rows row = read_.with(sequence);
  if (!row.next()) return std::nullopt;
  StoredBatch found{header(row), false};
  Batch& batch = found.batch;
  batch.changes = row.blob(5);
  batch.entries = row.blob(7);
  found.right = checksum(batch, batch.changes) == row.number(4) && checksum(batch, batch.entries) == row.number(6);
  return found;
}

std::optional<LogFile::StoredBatch> LogFile::read_changes(std::uint64_t sequence) {
  sqlite::Rows row = read_changes_.with(sequence);
  if (!row.next()) return std::nullopt;
  StoredBatch found{header(row), false};
  found.batch.changes = row.blob(5);
  found.right = checksum(found.batch, found.batch.changes) == row.number(4);
  return found;
}

void LogFile::mark() {
  if (!is_marked_) say_whose(database_);
}

void LogFile::insert(const Batch& batch) {
  insert_.run(batch.sequence, batch.written.time_since_epoch().count(), batch.accesses, batch.changes_count,
              checksum(batch, batch.changes), checksum(batch, batch.entries), std::string_view{batch.changes},
              std::string_view{batch.entries});
}

void LogFile::erase(std::uint64_t sequence) { erase_.run(sequence); }

void LogFile::shrink() {
  const std::size_t unused = count(free_pages_);
  const std::size_t used = count(pages_) - unused;
  if (unused <= used + kMinFree / page_size_) return;
  sqlite::Rows steps = shrink_.with();
  while (steps.next()) {
  }
}

void LogFile::tidy() {
  if (log_bytes() >= kMaxLog) database_.checkpoint();
}

std::size_t LogFile::bytes() { return (count(pages_) - count(free_pages_)) * page_size_ + log_bytes(); }

std::size_t LogFile::log_bytes() const noexcept { return static_cast<std::size_t>(database_.log_pages()) * page_size_; }

std::size_t LogFile::count(sqlite::Statement& pragma) {
  sqlite::Rows row = pragma.with();
  return row.next() ? static_cast<std::size_t>(row.number(0)) : 0;
}

}  // namespace qatime::backlog
