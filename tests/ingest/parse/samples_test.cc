// SPDX-License-Identifier: MIT
// Every published line, and each that relays leave: tests/data/expected.tsv says what becomes of it.
#include <fstream>
#include <memory_resource>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "catch.h"
#include "ingest/parse/body.h"
#include "ingest/parse/header.h"

namespace qatime::ingest::samples_test {
namespace {

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
const Time kNow = *parse_rfc3339("2024-12-01T00:00:00Z");
constexpr std::string_view kYear = "2024";

std::string cell(std::string_view value) { return value.empty() ? "-" : std::string{value}; }

// The verdict and the rest of the row, as in expected.tsv.
std::vector<std::string> parse(std::string_view line) {
  const std::vector<std::string> malformed{"malformed", "-", "-", "-", "-", "-", "-", "-"};
  const Parsed<Header> header = parse_header(line, {{}, kNow});
  if (std::holds_alternative<Malformed>(header)) return malformed;
  const auto& read = std::get<Header>(header);
  std::pmr::monotonic_buffer_resource scratch;
  const Parsed<Record> parsed = parse_body(read.body, scratch);
  if (std::holds_alternative<Malformed>(parsed)) return malformed;
  const auto& record = std::get<Record>(parsed);
  return {"record",
          format_rfc3339(read.time),
          cell(read.host),
          cell(record.operation),
          cell(record.status),
          cell(record.file_id),
          cell(record.path),
          cell(record.target)};
}

std::vector<std::string> expectation(const std::vector<std::string>& row) {
  std::vector<std::string> expected{row.begin() + 2, row.end()};
  if (expected[1].starts_with("YYYY")) expected[1].replace(0, 4, kYear);
  return expected;
}

TEST_CASE("Every line that clusters and relays leave is understood") {
  const std::vector<std::string> rows = read_lines("expected.tsv");
  REQUIRE(rows.size() == 44);
  for (std::size_t i = 1; i < rows.size(); ++i) {
    CAPTURE(rows[i]);
    const std::vector<std::string> row = split(rows[i]);
    const std::vector<std::string> lines = read_lines(row.at(0));
    CHECK(parse(lines.at(std::stoul(row.at(1)) - 1)) == expectation(row));
  }
}

}  // namespace
}  // namespace qatime::ingest::samples_test
