// SPDX-License-Identifier: MIT
// CSV bodies: a record's fields lie in the body unless they had to be unescaped, and written anew they are the same.
#include <memory_resource>
#include <string>

#include "body_fuzz.h"
#include "ingest/parse/csv.h"

namespace {

using namespace qatime::fuzz;
using qatime::ingest::parse_csv;
using qatime::ingest::Parsed;
using qatime::ingest::Record;

std::string quoted(std::string_view text) {
  std::string field{'"'};
  for (const char c : text) field.append(c == '"' ? 2 : 1, c);
  return field + '"';
}

std::string written(const Record& record) {
  std::string body;
  for (const std::string& field :
       {std::string{record.client}, quoted(record.user), std::string{record.protocol}, std::string{record.operation},
        std::string{record.status}, std::string{record.file_id}, quoted(record.path)}) {
    body += field + ',';
  }
  return body + quoted(record.target);
}

void check(std::string_view body, const Record& record) {
  for (const std::string_view bare :
       {record.client, record.protocol, record.operation, record.status, record.file_id, record.written_user}) {
    require(is_inside(bare, body), "what needs no unescaping lies in the body");
  }
  for (const std::string_view quoted : {record.user, record.path, record.target}) {
    require(is_inside(quoted, body) || body.find(R"("")") != std::string_view::npos ||
                body.find(R"(\")") != std::string_view::npos,
            "only what is escaped is copied");
  }
  expect_again(written(record), record, parse_csv);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view body = Input{data, size}.text();
  std::pmr::monotonic_buffer_resource scratch;
  const Parsed<Record> record = parse_twice(body, parse_csv, scratch);
  if (const auto* const read = std::get_if<Record>(&record)) check(body, *read);
  return 0;
}
