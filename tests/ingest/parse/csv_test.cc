// SPDX-License-Identifier: MIT
#include "ingest/parse/csv.h"

#include <array>
#include <memory_resource>
#include <string>
#include <string_view>

#include "catch.h"

namespace qatime::ingest::csv_test {
namespace {

using namespace std::string_literals;

class Csv {
 public:
  Record read(std::string_view body) {
    CAPTURE(body);
    const Parsed<Record> record = parse_csv(body, scratch_);
    REQUIRE(std::holds_alternative<Record>(record));
    return std::get<Record>(record);
  }

  std::string refusal(std::string_view body) {
    const Parsed<Record> record = parse_csv(body, scratch_);
    const auto* const reason = std::get_if<Malformed>(&record);
    return std::string{reason == nullptr ? "none" : name(*reason)};
  }

  // The path of a record that spells it like this.
  std::string path(const std::string& spelled) {
    return std::string{read(R"(1.2.3.4,"u",nfs3,fs_read_data,ok,7,")" + spelled + R"(","")").path};
  }

 private:
  std::pmr::monotonic_buffer_resource scratch_;
};

TEST_CASE_METHOD(Csv, "The eight fields come in their order") {
  const Record record = read(R"(192.168.240.1,"AD\alice",smb2,fs_rename,ok,6,"/a/b","/c")");
  CHECK(record.client == "192.168.240.1");
  CHECK(record.user == "AD\\alice");
  CHECK(record.protocol == "smb2");
  CHECK(record.operation == "fs_rename");
  CHECK(record.status == "ok");
  CHECK(record.file_id == "6");
  CHECK(record.path == "/a/b");
  CHECK(record.target == "/c");
}

TEST_CASE_METHOD(Csv, "Fields may be empty") {
  const Record record = read(R"(::1,"",api,cluster_restart,ok,,"","")");
  CHECK(record.client == "::1");
  CHECK(record.user.empty());
  CHECK(record.file_id.empty());
  CHECK(record.path.empty());
  CHECK(record.target.empty());
}

TEST_CASE_METHOD(Csv, "Names are bytes") {
  for (const char* const name :
       {"/a,b", "/a b", "/a\tb", "/a\\b", "/a#012b", "/%41", "/*", "/-rf", "/\xC3\xA4", "/\xE4\xFF", "/\x1B[31m",
        "/a',b", "/,", "/,,", "/a/", "/", "/a#015", "/a\\", "/ends in comma,"}) {
    CHECK(path(name) == name);
  }
}

TEST_CASE_METHOD(Csv, "A doubled quote is one") {
  CHECK(path(R"(/a""b)") == R"(/a"b)");
  CHECK(path(R"(/"")") == R"(/")");
  CHECK(path(R"(/"""")") == R"(/"")");
  CHECK(path(R"(/a"",""b)") == R"(/a","b)");
  CHECK(path(R"(/a\""b)") == R"(/a\"b)");
  const Record record = read(R"(1.2.3.4,"""u""",nfs3,fs_rename,ok,7,"/""a","/b""")");
  CHECK(record.user == R"("u")");
  CHECK(record.path == R"(/"a)");
  CHECK(record.target == R"(/b")");
}

TEST_CASE_METHOD(Csv, "A backslash escapes a quote only where doubling alone gives no record") {
  CHECK(path(R"(/a\"b)") == R"(/a"b)");
  CHECK(path(R"(/a\",\"b\c)") == R"(/a","b\c)");
  CHECK(path(R"(/a\)") == R"(/a\)");
  CHECK(path(R"(/a\")") == R"(/a")");
}

TEST_CASE_METHOD(Csv, "Seven and nine fields are malformed") {
  CHECK(refusal(R"(1.2.3.4,"u",nfs3,fs_read_data,ok,"/a","")") == "fields");
  CHECK(refusal(R"(1.2.3.4,"u",nfs3,fs_read_data,ok,7,"/a")") == "fields");
  CHECK(refusal(R"(1.2.3.4,"u",nfs3,fs_read_data,ok,"/a,b","")") == "fields");
  CHECK(refusal(R"(1.2.3.4,"u",nfs3,fs_read_data,ok,7,"/a","","")") == "fields");
  CHECK(refusal(R"(1.2.3.4,"u",nfs3,fs_read_data,ok,7,"/a","",)") == "fields");
  CHECK(refusal(R"(1.2.3.4,"u",x,nfs3,fs_read_data,ok,7,"/a","")") == "fields");
  CHECK(refusal(R"(1.2.3.4,"u",nfs3,fs_read_data,ok,7,/a,"")") == "fields");
  CHECK(refusal(R"(1.2.3.4,"u",nfs3,fs_read_data,ok,7,"/a",)") == "fields");
  CHECK(refusal(R"(1.2.3.4,"u",nfs3,fs_read_data,ok,7,"/a",/b)") == "fields");
  CHECK(refusal("hello") == "fields");
}

TEST_CASE_METHOD(Csv, "Quotes where none belong are malformed") {
  CHECK(refusal(R"("1.2.3.4","u",nfs3,fs_read_data,ok,7,"/a","")") == "fields");
  CHECK(refusal(R"(1.2.3.4,"u",nfs3,fs_read_data,"ok",7,"/a","")") == "fields");
}

TEST_CASE_METHOD(Csv, "A record that was cut anywhere is malformed") {
  const std::string_view whole = R"(1.2.3.4,"u",nfs3,fs_rename,ok,7,"/a""b","/target")";
  REQUIRE(refusal(whole) == "none");
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CAPTURE(size);
    CHECK(refusal(whole.substr(0, size)) != "none");
  }
}

TEST_CASE_METHOD(Csv, "A quote must end its field") {
  CHECK(refusal(R"(1.2.3.4,"u",nfs3,fs_read_data,ok,7,"/a","/b)") == "quote");
  CHECK(refusal(R"(1.2.3.4,"u",nfs3,fs_read_data,ok,7,"/a","")"
                "x") == "quote");
  CHECK(refusal(R"(1.2.3.4,"u",nfs3,fs_read_data,ok,7,"/a"b","")") == "quote");
  CHECK(refusal(R"(1.2.3.4,"u"xnfs3,fs_read_data,ok,7,"/a","")") == "quote");
  CHECK(refusal(R"(,"u)") == "quote");
  CHECK(refusal(R"(1.2.3.4,"u",nfs3,fs_read_data,ok,7,"/a,"")") == "quote");
}

TEST_CASE_METHOD(Csv, "Nothing is no record") { CHECK(refusal("") == "body"); }

TEST_CASE_METHOD(Csv, "The user is there as written, too") {
  const Record record = read(R"(1.2.3.4,"AD\alice""",nfs3,fs_rename,ok,7,"/""a","")");
  CHECK(record.user == R"(AD\alice")");
  CHECK(record.written_user == R"(AD\alice"")");
  const Record plain = read(R"(1.2.3.4,"u",nfs3,fs_rename,ok,7,"/a","")");
  CHECK(plain.written_user == "u");
}

TEST_CASE("Scratch memory gets the fields that have a doubled quote, and no others") {
  std::array<char, 5> scratch{};
  std::pmr::monotonic_buffer_resource five{scratch.data(), scratch.size(), std::pmr::null_memory_resource()};
  CHECK_NOTHROW(parse_csv(R"(1.2.3.4,"a""b",nfs3,fs_read_data,ok,7,"/a","")", five));
  CHECK_NOTHROW(parse_csv(R"(1.2.3.4,"u",nfs3,fs_read_data,ok,7,"/a","")", *std::pmr::null_memory_resource()));
}

}  // namespace
}  // namespace qatime::ingest::csv_test
