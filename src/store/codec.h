// SPDX-License-Identifier: MIT
// Accesses, moves and removals as the bytes of a batch.
//
// Numbers have the lowest byte first. Times are nanoseconds since 1970-01-01T00:00:00Z in 8 bytes. Paths and
// directories follow their length in 4 bytes, names follow theirs in 1. `Batch::entries` holds accesses, each under the
// latest directory before it. `Batch::changes` holds moves and removals in their order of arrival:
//
//   'D' directory                 'M' time path target
//   'A' name time                 'R' time path          one object
//                                 'T' time path          an object and all below it
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/event.h"
#include "base/timestamp.h"

namespace qatime::backlog {

// Appends accesses to bytes.
class AccessEncoder {
 public:
  // Nobody else appends to `bytes`.
  explicit AccessEncoder(std::string& bytes) : bytes_{bytes} {}
  void add(std::string_view directory, std::string_view name, Time time);

  // Lets the accesses that follow be read without the earlier ones.
  void restart() { directory_.clear(); }

 private:
  std::string& bytes_;
  std::string directory_;
};

// Reads accesses one after the other.
class AccessDecoder {
 public:
  // `bytes` outlives the decoder.
  explicit AccessDecoder(std::string_view bytes) : rest_{bytes} {}

  [[nodiscard]] bool at_end() const noexcept { return rest_.empty(); }

  // Reads the next access, which the functions below then return. Returns false at the end, or if it cannot be read.
  [[nodiscard]] bool next();

  [[nodiscard]] std::uint32_t position() const noexcept { return count_ - 1; }  // from 0 on
  [[nodiscard]] std::string_view directory() const noexcept { return directory_; }
  [[nodiscard]] std::string_view name() const noexcept { return name_; }
  [[nodiscard]] Time time() const noexcept { return time_; }

 private:
  std::string_view rest_;
  std::uint32_t count_ = 0;
  std::string_view directory_;
  std::string_view name_;
  Time time_{};
};

void encode(const Move& move, std::string& bytes);
void encode(const Removal& removal, std::string& bytes);

// Calls visit(Move or Removal) for each change, up to the first that cannot be read.
void decode_changes(std::string_view bytes, const std::function<void(const Event& change)>& visit);

}  // namespace qatime::backlog
