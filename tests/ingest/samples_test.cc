// SPDX-License-Identifier: MIT
// Every published line: tests/data/expected.tsv says what a parser that understands all forms makes of it.
#include <fstream>
#include <memory_resource>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "catch.h"
#include "ingest/csv.h"
#include "ingest/header.h"

namespace qatime::ingest {
namespace {

// What is not understood: lines whose file begins with this ...
struct Unread {
  std::string_view file;
  std::string_view line;  // empty: all
  std::string_view reason;
};
// ... the first that fits decides.
constexpr Unread kUnread[] = {
    {"rfc3164.log", "6", "quote"},
    {"json.log", "", "body"},
};

std::vector<std::string> read_lines(const std::string& file) {
  std::ifstream in{QATIME_TEST_DATA "/" + file};
  REQUIRE(in);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

std::vector<std::string> split(const std::string& row) {
  std::vector<std::string> cells;
  std::istringstream in{row};
  for (std::string cell; std::getline(in, cell, '\t');) cells.push_back(cell);
  return cells;
}

// When the lines without a year are read.
const Time kNow = *parse_rfc3339("2024-07-01T00:00:00Z");
constexpr std::string_view kYear = "2024";

std::string cell(std::string_view value) { return value.empty() ? "-" : std::string{value}; }

// The verdict and the rest of the row, as in expected.tsv; for malformed lines the verdict and the reason.
std::vector<std::string> parse(std::string_view line) {
  const auto malformed = [](Malformed reason) {
    return std::vector<std::string>{"malformed", std::string{name(reason)}};
  };
  const Parsed<Header> header = parse_header(line, TimeZone{}, kNow);
  if (const auto* const reason = std::get_if<Malformed>(&header)) return malformed(*reason);
  const auto& read = std::get<Header>(header);
  std::pmr::monotonic_buffer_resource scratch;
  const Parsed<Record> parsed = parse_csv(read.body, scratch);
  if (const auto* const reason = std::get_if<Malformed>(&parsed)) return malformed(*reason);
  const auto& record = std::get<Record>(parsed);
  return {"record",
          format_rfc3339(read.time),
          std::string{read.host},
          cell(record.operation),
          cell(record.status),
          cell(record.file_id),
          cell(record.path),
          cell(record.target)};
}

std::vector<std::string> expectation(const std::vector<std::string>& row) {
  for (const Unread& unread : kUnread) {
    if (row[0] == unread.file && (unread.line.empty() || row[1] == unread.line)) {
      return {"malformed", std::string{unread.reason}};
    }
  }
  std::vector<std::string> expected{row.begin() + 2, row.end()};
  if (expected[1].starts_with("YYYY")) expected[1].replace(0, 4, kYear);
  return expected;
}

TEST_CASE("Every published line is understood, or malformed for the reason said here") {
  const std::vector<std::string> rows = read_lines("expected.tsv");
  REQUIRE(rows.size() == 25);
  for (std::size_t i = 1; i < rows.size(); ++i) {
    CAPTURE(rows[i]);
    const std::vector<std::string> row = split(rows[i]);
    const std::vector<std::string> lines = read_lines(row.at(0));
    CHECK(parse(lines.at(std::stoul(row.at(1)) - 1)) == expectation(row));
  }
}

}  // namespace
}  // namespace qatime::ingest
