// SPDX-License-Identifier: MIT
// The salvage of a damaged log file: rows that can be read without SQLite.
#pragma once

#include <cstddef>
#include <functional>
#include <string>

#include "store/batch.h"

namespace qatime::backlog {

struct Salvaged {
  std::size_t batches = 0;   // whose checksums are right
  std::size_t accesses = 0;  // in them
  std::size_t damaged = 0;   // batches of which something is left, and not all
};

// What to do where the disk refuses to be read (EIO).
enum class Unreadable { skip, refuse };

// Reads `file` and its write-ahead log, `file` + "-wal", of which either may be missing, and calls `keep` for each
// batch in it whose checksums are right, once, in no order. What was deleted may be among them if the file's own notes
// of what is free are damaged. Writes nothing. Throws what `keep` throws, and
// StoreError for what is `refuse`d.
//
// Source: https://www.sqlite.org/fileformat.html
Salvaged salvage(const std::string& file, const std::function<void(const Batch&)>& keep,
                 Unreadable unreadable = Unreadable::skip);

}  // namespace qatime::backlog
