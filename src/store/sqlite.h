// SPDX-License-Identifier: MIT
// SQLite, as much of it as the backlog needs. One thread at a time uses a database and its statements.
#pragma once

#include <concepts>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "store/store_error.h"

struct sqlite3;
struct sqlite3_stmt;

namespace qatime::backlog::sqlite {

// An error that SQLite reports: the file, SQLite's message, and the system's message if there is one.
class Error : public StoreError {
 public:
  Error(const std::string& file, int code, sqlite3* database);

  // Whether the file's content is at fault, not the disk or the system.
  [[nodiscard]] bool damaged() const noexcept { return damaged_; }
  // Whether there is no room, on the disk or by a quota.
  [[nodiscard]] bool full() const noexcept { return full_; }

 private:
  bool damaged_;
  bool full_;
};

// An open database. Its functions throw Error.
class Database {
 public:
  // Opens `file`, which exists, for reading and writing. Reads nothing yet.
  explicit Database(const std::string& file);

  // Runs statements that return no rows.
  void run(const char* sql);
  // Returns the only number that a statement returns.
  [[nodiscard]] std::int64_t number(const std::string& sql);
  // Whether a transaction is open.
  [[nodiscard]] bool in_transaction() const noexcept;
  // Copies the write-ahead log into the file. After an Error everything is still in the write-ahead log.
  void checkpoint();
  // The pages of the write-ahead log after the last commit.
  [[nodiscard]] int log_pages() const noexcept { return *log_pages_; }
  // Makes closing the database leave an empty write-ahead log behind, so that opening it makes no file.
  void stay_with_log() noexcept;
  // Makes closing the database leave the write-ahead log as it is.
  void keep_log() noexcept;

  [[nodiscard]] Error error(int code) const { return {file_, code, handle_.get()}; }
  [[nodiscard]] sqlite3* handle() const noexcept { return handle_.get(); }

 private:
  struct Close {
    void operator()(sqlite3* handle) const noexcept;
  };

  std::string file_;
  std::unique_ptr<int> log_pages_ = std::make_unique<int>(0);  // on the heap, because SQLite holds its address
  std::unique_ptr<sqlite3, Close> handle_;
};

// The rows that a statement returns, one by one. The destructor ends the execution.
class Rows {
 public:
  explicit Rows(const Database& database, sqlite3_stmt* statement) : database_{database}, statement_{statement} {}
  Rows(const Rows&) = delete;
  Rows& operator=(const Rows&) = delete;
  ~Rows();

  // Goes to the next row. Returns whether there is one.
  bool next();
  [[nodiscard]] std::int64_t number(int column) const noexcept;
  // Borrowed until next().
  [[nodiscard]] std::string_view blob(int column) const noexcept;

 private:
  const Database& database_;
  sqlite3_stmt* statement_;
};

// A prepared statement. Its database outlives it, and must not move.
class Statement {
 public:
  Statement(Database& database, std::string_view sql);

  // Begins an execution with `values` for its parameters: numbers, and blobs that are borrowed until it ends. One
  // execution at a time.
  template <class... Values>
  [[nodiscard]] Rows with(Values... values) {
    bind_all(1, values...);
    return Rows{database_, statement_.get()};
  }
  // Executes a statement that returns no rows.
  template <class... Values>
  void run(Values... values) {
    static_cast<void>(with(values...).next());
  }

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const noexcept;
  };

  void bind_all(int /*index*/) {}
  template <class First, class... Rest>
  void bind_all(int index, First first, Rest... rest) {
    bind(index, first);
    bind_all(index + 1, rest...);
  }
  template <std::integral Number>
  void bind(int index, Number number) {
    bind_number(index, static_cast<std::int64_t>(number));
  }
  void bind(int index, std::string_view blob);
  void bind_number(int index, std::int64_t number);

  Database& database_;
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
};

// A transaction. The destructor rolls it back unless it was committed.
class Transaction {
 public:
  explicit Transaction(Database& database);
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  ~Transaction();

  // Returns once the transaction is on the disk.
  void commit();

 private:
  Database& database_;
};

}  // namespace qatime::backlog::sqlite
