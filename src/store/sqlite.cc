// SPDX-License-Identifier: MIT
#include "store/sqlite.h"

#include <cerrno>
#include <system_error>

#include <fmt/core.h>
#include <sqlite3.h>

namespace qatime::backlog::sqlite {
namespace {

std::string describe_error(const std::string& file, int code, sqlite3* database) {
  std::string text = fmt::format("{}: {}", file, database ? sqlite3_errmsg(database) : sqlite3_errstr(code));
  const int number = database ? sqlite3_system_errno(database) : 0;
  if (number != 0) text += fmt::format(" ({})", std::generic_category().message(number));
  return text;
}

// Our statements are right: what is wrong with them is that of a damaged schema.
bool blames_content(int code) {
  const int kind = code & 0xFF;
  return kind == SQLITE_CORRUPT || kind == SQLITE_NOTADB || kind == SQLITE_ERROR;
}

}  // namespace

Error::Error(const std::string& file, int code, sqlite3* database)
    : StoreError{describe_error(file, code, database)},
      damaged_{blames_content(code)},
      full_{(code & 0xFF) == SQLITE_FULL || (database && sqlite3_system_errno(database) == EDQUOT)} {}

void Database::Close::operator()(sqlite3* handle) const noexcept { sqlite3_close_v2(handle); }

Database::Database(const std::string& file) : file_{file} {
  sqlite3* handle = nullptr;
  const int code = sqlite3_open_v2(file.c_str(), &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
  handle_.reset(handle);
  if (code != SQLITE_OK) throw error(code);
  sqlite3_extended_result_codes(handle, 1);
  // Takes the place of SQLite's own checkpoints, which would report their failure as that of a commit.
  const auto note = [](void* pages, sqlite3*, const char*, int count) {
    *static_cast<int*>(pages) = count;
    return SQLITE_OK;
  };
  sqlite3_wal_hook(handle, note, log_pages_.get());
}

void Database::run(const char* sql) {
  const int code = sqlite3_exec(handle(), sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) throw error(code);
}

std::int64_t Database::number(const std::string& sql) {
  Statement statement{*this, sql};
  Rows rows = statement.with();
  return rows.next() ? rows.number(0) : 0;
}

bool Database::in_transaction() const noexcept { return sqlite3_get_autocommit(handle()) == 0; }

void Database::checkpoint() {
  const int code = sqlite3_wal_checkpoint_v2(handle(), nullptr, SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
  if (code != SQLITE_OK) throw error(code);
  *log_pages_ = 0;
}

void Database::keep_log() noexcept { sqlite3_db_config(handle(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr); }

void Database::stay_with_log() noexcept {
  int yes = 1;
  (void)sqlite3_file_control(handle(), "main", SQLITE_FCNTL_PERSIST_WAL, &yes);
}

Rows::~Rows() {
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
}

bool Rows::next() {
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code != SQLITE_DONE) throw database_.error(code);
  return false;
}

std::int64_t Rows::number(int column) const noexcept { return sqlite3_column_int64(statement_, column); }

std::string_view Rows::blob(int column) const noexcept {
  const auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement_, column));
  return {bytes, static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
}

void Statement::Finalize::operator()(sqlite3_stmt* statement) const noexcept { sqlite3_finalize(statement); }

Statement::Statement(Database& database, std::string_view sql) : database_{database} {
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v3(database.handle(), sql.data(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  statement_.reset(statement);
  if (code != SQLITE_OK) throw database.error(code);
}

void Statement::bind_number(int index, std::int64_t number) {
  const int code = sqlite3_bind_int64(statement_.get(), index, number);
  if (code != SQLITE_OK) throw database_.error(code);
}

void Statement::bind(int index, std::string_view blob) {
  const char* bytes = blob.data() ? blob.data() : "";  // a null pointer would be NULL
  const int code = sqlite3_bind_blob64(statement_.get(), index, bytes, blob.size(), SQLITE_STATIC);
  if (code != SQLITE_OK) throw database_.error(code);
}

Transaction::Transaction(Database& database) : database_{database} { database_.run("BEGIN IMMEDIATE"); }

Transaction::~Transaction() {
  // SQLite itself has rolled back after some errors. A failed rollback is repeated by the next transaction's.
  if (database_.in_transaction()) sqlite3_exec(database_.handle(), "ROLLBACK", nullptr, nullptr, nullptr);
}

void Transaction::commit() { database_.run("COMMIT"); }

}  // namespace qatime::backlog::sqlite
