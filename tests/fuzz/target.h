// SPDX-License-Identifier: MIT
// What the fuzz targets share. A target takes bytes that libFuzzer makes up; where a property does not hold it aborts,
// and libFuzzer shows and keeps the bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <variant>

#include "ingest/parse/reason.h"
#include "ingest/parse/record.h"

namespace qatime::fuzz {

inline void require(bool holds, const char* property) {
  if (holds) return;
  std::fprintf(stderr, "this does not hold: %s\n", property);
  std::abort();
}

// Whether `part` lies in `whole`; what is empty lies everywhere.
inline bool is_inside(std::string_view part, std::string_view whole) {
  return part.empty() || (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

// The bytes of one execution: the last one chooses how the target is used, the rest is what it is given. So a sample
// is a seed as it stands.
class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size)
      : choice_{size > 0 ? data[size - 1] : std::uint8_t{}},
        text_{reinterpret_cast<const char*>(data), size > 0 ? size - 1 : 0} {}

  [[nodiscard]] unsigned choice() const noexcept { return choice_; }
  [[nodiscard]] std::string_view text() const noexcept { return text_; }

 private:
  std::uint8_t choice_;
  std::string_view text_;
};

// The fields that a body says outright; written_user is how it says one of them.
inline bool same_fields(const ingest::Record& a, const ingest::Record& b) {
  return a.client == b.client && a.user == b.user && a.protocol == b.protocol && a.operation == b.operation &&
         a.status == b.status && a.file_id == b.file_id && a.path == b.path && a.target == b.target;
}

inline bool same(const ingest::Parsed<ingest::Record>& a, const ingest::Parsed<ingest::Record>& b) {
  if (a.index() != b.index()) return false;
  if (const auto* const reason = std::get_if<ingest::Malformed>(&a)) return *reason == std::get<ingest::Malformed>(b);
  const auto& one = std::get<ingest::Record>(a);
  const auto& other = std::get<ingest::Record>(b);
  return same_fields(one, other) && one.written_user == other.written_user;
}

}  // namespace qatime::fuzz
