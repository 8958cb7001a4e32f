// SPDX-License-Identifier: MIT
#include "ingest/parse/body.h"

#include <memory_resource>
#include <string>

#include "catch.h"

namespace qatime::ingest::body_test {
namespace {

using namespace std::string_literals;

const std::string kCsv = R"(1.2.3.4,"u",nfs3,fs_read_data,ok,7,"/a","")";
const std::string kJson = R"({"user_ip":"1.2.3.4","operation":"fs_read_data","status":"ok","details":{"path":"/a"}})";

// The path of the record, or why there is none.
std::string read(const std::string& body) {
  std::pmr::monotonic_buffer_resource scratch;
  const Parsed<Record> record = parse_body(body, scratch);
  if (const auto* const reason = std::get_if<Malformed>(&record)) return std::string{name(*reason)};
  return std::string{std::get<Record>(record).path};
}

TEST_CASE("A body is CSV or JSON") {
  CHECK(read(kCsv) == "/a");
  CHECK(read(kJson) == "/a");
  CHECK(read("") == "body");
  CHECK(read("{") == "body");
  CHECK(read("hello") == "fields");
}

TEST_CASE("What forwarders leave behind the body is stripped") {
  for (const std::string& tail :
       {"#015"s, "#000"s, "\r"s, "\0"s, "\r\n"s, "#015#000"s, "\0\n"s, " "s, "  "s, " #015 "s, " \r\n"s}) {
    CHECK(read(kCsv + tail) == "/a");
    CHECK(read(kJson + tail) == "/a");
  }
  CHECK(read(kCsv + "#016") == "quote");
  CHECK(read(kJson + "#016") == "body");
}

TEST_CASE("A repeated body is read as one") {
  for (const std::string& body : {kCsv, kJson}) {
    CHECK(read("message repeated 2 times: [" + body + "]") == "/a");
    CHECK(read("message repeated 1234 times: [ " + body + "] \r") == "/a");
  }
  const std::string bracket = R"(1.2.3.4,"u",nfs3,fs_read_data,ok,7,"/a]","")";
  CHECK(read("message repeated 2 times: [" + bracket + "]") == "/a]");
}

TEST_CASE("A repeated body that a relay has cut is malformed") {
  const std::string whole = "message repeated 2 times: [" + kCsv + "]";
  for (std::size_t size = std::string{"message repeated "}.size(); size < whole.size(); ++size) {
    CAPTURE(size);
    CHECK(read(whole.substr(0, size)) == "body");
  }
  CHECK(read("message repeated 2 times: [1.2.3.4,\"u\",nfs3,fs_read_data,ok,7,\"/a[1]") == "quote");
  CHECK(read("message repeated two times: [" + kCsv + "]") == "body");
  CHECK(read("message repeated 2 times: []") == "body");
}

}  // namespace
}  // namespace qatime::ingest::body_test
