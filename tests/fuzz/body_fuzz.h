// SPDX-License-Identifier: MIT
// What the targets of bodies share.
#pragma once

#include <memory_resource>
#include <string>
#include <string_view>
#include <variant>

#include "target.h"

namespace qatime::fuzz {

// The result of `parse` for `body`: the same each time.
template <class Parse>
ingest::Parsed<ingest::Record> parse_twice(std::string_view body, Parse parse, std::pmr::memory_resource& scratch) {
  ingest::Parsed<ingest::Record> record = parse(body, scratch);
  const std::string copy{body};
  std::pmr::monotonic_buffer_resource other;
  require(same(record, parse(copy, other)), "the same bytes are the same record");
  return record;
}

// `written`, the body of `record` written anew, is the same record.
template <class Parse>
void expect_again(const std::string& written, const ingest::Record& record, Parse parse) {
  std::pmr::monotonic_buffer_resource scratch;
  const ingest::Parsed<ingest::Record> read = parse(written, scratch);
  require(std::holds_alternative<ingest::Record>(read) && same_fields(std::get<ingest::Record>(read), record),
          "a record that is written out is the same record");
}

}  // namespace qatime::fuzz
