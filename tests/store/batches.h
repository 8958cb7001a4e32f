// SPDX-License-Identifier: MIT
// Batches to store.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "store/store.h"
#include "temporary_directory.h"

namespace qatime::backlog {

// For tests that make many small files.
inline std::filesystem::path fast_place() {
  const std::filesystem::path memory = "/dev/shm";
  return std::filesystem::is_directory(memory) ? memory : std::filesystem::temp_directory_path();
}

// The words of statfs() instead of the truth: the file system's magic number, and its free bytes.
inline std::optional<unsigned> pretended_file_system;
inline std::optional<std::size_t> pretended_room;

// Every sequence has content of its own.
inline Batch batch(std::uint64_t sequence, std::size_t size = 1000) {
  Batch made{sequence,
             Time{std::chrono::seconds{1769523143} + std::chrono::nanoseconds{sequence}},
             static_cast<std::uint32_t>(size / 100),
             static_cast<std::uint32_t>(sequence % 3),
             std::string(size / 10, 'c'),
             std::string(size, 'e')};
  for (std::size_t i = 0; i < size; i += 100) made.entries[i] = static_cast<char>(sequence + i / 100);
  return made;
}

inline bool same(const Batch& a, const Batch& b) {
  return a.sequence == b.sequence && a.written == b.written && a.accesses == b.accesses &&
         a.changes_count == b.changes_count && a.changes == b.changes && a.entries == b.entries;
}

inline void commit(Store& store, const Batch& one) { store.commit(&one, {}); }

inline std::vector<std::uint64_t> sequences(Store& store) {
  std::vector<std::uint64_t> all;
  for (const Store::StoredRow& row : store.rows()) all.push_back(row.sequence);
  return all;
}

}  // namespace qatime::backlog
