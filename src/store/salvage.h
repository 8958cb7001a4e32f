// SPDX-License-Identifier: MIT
// A reader of log files without SQLite: the rows of a damaged one, and whose it is.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>

#include "store/batch.h"

namespace qatime::backlog {

struct Salvaged {
  std::size_t batches = 0;   // with right checksums
  std::size_t accesses = 0;  // in them
  std::size_t damaged = 0;   // batches of which only a part is left
};

// The choice where the disk refuses to be read (EIO).
enum class Unreadable { skip, refuse };

// Reads `file` and its write-ahead log, `file` + "-wal"; either may be missing. Calls `keep` once for each batch with
// right checksums, in no order. Deleted batches might be among them if the file's free list is damaged. Writes nothing.
// Throws the exceptions of `keep`, and StoreError where reading fails under Unreadable::refuse.
//
// Source: https://www.sqlite.org/fileformat.html
Salvaged salvage(const std::string& file, const std::function<void(const Batch&)>& keep,
                 Unreadable unreadable = Unreadable::skip);

// Returns the first page of `file` as its last commit left it, or nothing unless it is one of a database. Writes
// nothing. Throws StoreError if it cannot be read.
[[nodiscard]] std::optional<std::string> first_page(const std::string& file);

}  // namespace qatime::backlog
