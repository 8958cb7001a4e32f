// SPDX-License-Identifier: MIT
// JSON bodies: what a strict parser takes is taken, and a record that is written anew is the same.
#include <memory_resource>
#include <string>

#include <boost/json/parse.hpp>

#include "body_fuzz.h"
#include "ingest/parse/json.h"

namespace {

using namespace qatime::fuzz;
using qatime::ingest::Malformed;
using qatime::ingest::parse_json;
using qatime::ingest::Parsed;
using qatime::ingest::Record;

bool is_strict_json(std::string_view text) {
  boost::json::error_code error;
  boost::json::parse_options options;
  options.allow_invalid_utf8 = true;
  boost::json::parse({text.data(), text.size()}, error, {}, options);
  return !error;
}

std::string quoted(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string field{'"'};
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20) {
      field.append("\\u00").append({kDigits[byte >> 4], kDigits[byte & 0xF]});
    } else {
      if (c == '"' || c == '\\') field += '\\';
      field += c;
    }
  }
  return field + '"';
}

std::string written(const Record& record) {
  return R"({"details":{"file_id":)" + quoted(record.file_id) + R"(,"path":)" + quoted(record.path) + R"(,"target":)" +
         quoted(record.target) + R"(},"status":)" + quoted(record.status) + R"(,"operation":)" +
         quoted(record.operation) + R"(,"protocol":)" + quoted(record.protocol) + R"(,"user_ip":)" +
         quoted(record.client) + R"(,"user_id":{"name":)" + quoted(record.user) + "}}";
}

void check(std::string_view body, const Record& record) {
  require(!record.operation.empty() && !record.status.empty(), "a record has an operation and a status");
  require(body.find('\\') == std::string_view::npos || is_inside(record.written_user, body),
          "the user as written lies in the body");
  const std::string again = written(record);
  require(is_strict_json(again), "what is written out is JSON");
  expect_again(again, record, parse_json);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view body = Input{data, size}.text();
  std::pmr::monotonic_buffer_resource scratch;
  const Parsed<Record> record = parse_twice(body, parse_json, scratch);
  const auto* const reason = std::get_if<Malformed>(&record);
  require(reason == nullptr || *reason != Malformed::body || !is_strict_json(body), "what is JSON is taken for JSON");
  if (reason == nullptr) check(body, std::get<Record>(record));
  return 0;
}
