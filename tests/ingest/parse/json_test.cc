// SPDX-License-Identifier: MIT
#include "ingest/parse/json.h"

#include <deque>
#include <memory_resource>
#include <string>
#include <string_view>

#include "catch.h"

namespace qatime::ingest::json_test {
namespace {

using namespace std::string_literals;

class Json {
 public:
  Record read(std::string_view body) {
    CAPTURE(body);
    const Parsed<Record> record = parse_json(body, scratch_);
    REQUIRE(std::holds_alternative<Record>(record));
    return std::get<Record>(record);
  }

  std::string refusal(std::string_view body) {
    const Parsed<Record> record = parse_json(body, scratch_);
    const auto* const reason = std::get_if<Malformed>(&record);
    return std::string{reason == nullptr ? "none" : name(*reason)};
  }

  // The path of a record that spells it like this.
  std::string path(const std::string& spelled) {
    return std::string{read(R"({"operation":"o","status":"ok","details":{"path":")" + spelled + R"("}})").path};
  }

  Record with_user(const std::string& spelled) {
    return read(bodies_.emplace_back(R"({"user_id":{"sid":"S\-1","name":")" + spelled +
                                     R"("},"operation":"o","status":"ok"})"));
  }

 private:
  std::deque<std::string> bodies_;
  std::pmr::monotonic_buffer_resource scratch_;
};

TEST_CASE_METHOD(Json, "The fields come in any order, with others between") {
  const std::string_view body =
      GENERATE(R"({"user_id":{"sid":"S-1","auth_id":"500","name":"admin"},"user_ip":"203.0.113.0","protocol":"smb2",)"
               R"("operation":"fs_rename","status":"ok","details":{"file_id":"6","path":"/a","target":"/b"}})",
               R"( { "details" : { "offset": 0, "path": "/a", "before": {"path": "/no", "owner": {"name": "no"}},
         "target": "/b", "after": [{"path": "/no"}, "/no"], "size": -1.5e3, "most": 18446744073709551615,
         "file_id": "6" }, "more": {"name": "no", "path": "/no"}, "operation": "fs_rename", "user_id": {"name": "admin", "path": "/no"}, "path": "/no",
         "name": "no", "status": "ok", "protocol": "smb2", "none": null, "yes": true, "user_ip": "203.0.113.0" } )");
  const Record record = read(body);
  CHECK(record.client == "203.0.113.0");
  CHECK(record.user == "admin");
  CHECK(record.written_user == "admin");
  CHECK(record.protocol == "smb2");
  CHECK(record.operation == "fs_rename");
  CHECK(record.status == "ok");
  CHECK(record.file_id == "6");
  CHECK(record.path == "/a");
  CHECK(record.target == "/b");
}

TEST_CASE_METHOD(Json, "Fields that are not there, or are no strings, are empty") {
  const Record record = read(
      R"({"operation":"o","status":"ok","user_id":"u","user_ip":["1.2.3.4"],"details":{"path":{"a":"b"},"file_id":7}})");
  CHECK(record.user.empty());
  CHECK(record.written_user.empty());
  CHECK(record.client.empty());
  CHECK(record.path.empty());
  CHECK(record.file_id.empty());
  CHECK(record.target.empty());
}

TEST_CASE_METHOD(Json, "Escapes are decoded") {
  CHECK(path(R"(/a\"b\\c\/d)") == R"(/a"b\c/d)");
  CHECK(path(R"(/\b\f\n\r\t)") == "/\b\f\n\r\t");
  CHECK(path(R"(/\u00e4\u00C4\u20ac\ud83d\ude00)") == "/\xC3\xA4\xC3\x84\xE2\x82\xAC\xF0\x9F\x98\x80");
  CHECK(path(R"(/\u0000)") == "/\0"s);
  CHECK(read(R"({"oper\u0061tion":"o","status":"ok"})").operation == "o");
}

TEST_CASE_METHOD(Json, "A backslash that begins no escape stands for itself") {
  CHECK(path(R"(/a\lice)") == R"(/a\lice)");
  CHECK(path(R"(/\alice\ )") == R"(/\alice\ )");
  CHECK(path(R"(/\ubad)") == R"(/\ubad)");
  CHECK(path(R"(/\u12)") == R"(/\u12)");
  CHECK(path(R"(/\u-123)") == R"(/\u-123)");
  CHECK(path(R"(/\ud83d)") == R"(/\ud83d)");
  CHECK(path(R"(/\ude00\ud83d)") == R"(/\ude00\ud83d)");
  CHECK(path(R"(/\ud83d\u0041)") == R"(/\ud83dA)");
  CHECK(path(R"(/\u00g1)") == R"(/\u00g1)");
  CHECK(path(R"(/\q1234)") == R"(/\q1234)");
  CHECK(path("/\xC3\xA4\\\xE4") == "/\xC3\xA4\\\xE4");
  CHECK(path(R"(/\\alice\a)") == R"(/\alice\a)");
}

TEST_CASE_METHOD(Json, "Two escapes are one character where both are halves of a surrogate pair, and in their order") {
  CHECK(path(R"(/\ud7ff)") == "/\xED\x9F\xBF");
  CHECK(path(R"(/\ud800)") == R"(/\ud800)");
  CHECK(path(R"(/\udfff)") == R"(/\udfff)");
  CHECK(path(R"(/\ue000)") == "/\xEE\x80\x80");
  CHECK(path(R"(/\ud800\udc00)") == "/\xF0\x90\x80\x80");
  CHECK(path(R"(/\udbff\udfff)") == "/\xF4\x8F\xBF\xBF");
  CHECK(path(R"(/\ud800\udbff)") == R"(/\ud800\udbff)");
  CHECK(path(R"(/\udc00\udc00)") == R"(/\udc00\udc00)");
  CHECK(path(R"(/\ud800\ue000)") == "/\\ud800\xEE\x80\x80");
}

TEST_CASE_METHOD(Json, "The user is there as decoded and as written") {
  struct Case {
    std::string written;
    std::string decoded;
  };
  const auto [written, decoded] =
      GENERATE(Case{R"(AD\alice)", R"(AD\alice)"}, Case{R"(AD\tom)", "AD\tom"}, Case{R"(AD\bob)", "AD\bob"},
               Case{R"(AD\\tom)", R"(AD\tom)"}, Case{R"(\u0041\"b)", "A\"b"}, Case{R"(AD\user)", R"(AD\user)"},
               Case{R"(\ud83d\ude00)", "\xF0\x9F\x98\x80"}, Case{"", ""});
  const Record record = with_user(written);
  CHECK(record.user == decoded);
  CHECK(record.written_user == written);
}

TEST_CASE_METHOD(Json, "Names in JSON are bytes") {
  for (const std::string& name :
       {"/a,b"s, "/\xC3\xA4"s, "/\xE4\xFF"s, "/\xED\xA0\x80"s, "/a\tb"s, "/\x1B[31m"s, "/\x1F !"s, "/a\nb"s, "/\x7F"s,
        "/\0"s, "/{}[]:,"s, "/#015"s, "/" + std::string(30'000, 'x')}) {
    CHECK(path(name) == name);
  }
}

TEST_CASE_METHOD(Json, "Of a key that comes twice the last counts") {
  CHECK(read(R"({"operation":"a","operation":"b","status":"ok"})").operation == "b");
}

TEST_CASE_METHOD(Json, "A record has operation and status") {
  CHECK(refusal("{}") == "fields");
  CHECK(refusal(R"({"operation":"o"})") == "fields");
  CHECK(refusal(R"({"status":"ok"})") == "fields");
  CHECK(refusal(R"({"operation":"o","status":1})") == "fields");
  CHECK(refusal(R"({"operation":"o","details":{"status":"ok"}})") == "fields");
  CHECK(refusal(R"({"operation":"\\","details":{}})") == "fields");
}

TEST_CASE_METHOD(Json, "What is no JSON is malformed") {
  for (const char* const body :
       {"", "{", "{}}", "{} {}", "{}x", R"({"operation":"o","status":"ok",})", R"({"operation":"o" "status":"ok"})",
        R"({operation:"o","status":"ok"})", R"({"operation":"o","status":"ok"}")", R"({"status":"o\"})", R"({"a":"\)",
        R"({"a":"\u)", R"({"a":01})", R"({"a":nul})", "{'a':1}", R"({"a":1}//)"}) {
    CAPTURE(body);
    CHECK(refusal(body) == "body");
  }
  CHECK(refusal(R"({"a":)" + std::string(100'000, '[')) == "body");
}

TEST_CASE_METHOD(Json, "JSON that was cut anywhere is malformed") {
  const std::string_view whole =
      R"({"user_id":{"name":"AD\alice"},"user_ip":"::1","operation":"fs_rename","status":"ok","details":{"path":"/a\u00e4\t"}})";
  REQUIRE(refusal(whole) == "none");
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CAPTURE(size);
    CHECK(refusal(whole.substr(0, size)) == "body");
  }
}

// Counts what is allocated and never frees before its end, like the scratch memory of a read.
class CountingScratch final : public std::pmr::monotonic_buffer_resource {
 public:
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }

 private:
  void* do_allocate(std::size_t bytes, std::size_t alignment) override {
    bytes_ += bytes;
    return monotonic_buffer_resource::do_allocate(bytes, alignment);
  }

  std::size_t bytes_ = 0;
};

TEST_CASE("Scratch memory gets the fields of a record and nothing of its repair") {
  const std::string controls = "\\q" + std::string(100'000, '\x01');
  const std::string body = R"({"operation":"o","status":"ok","details":{"path":"/a"},"x":")" + controls + R"("})";
  CountingScratch scratch;
  REQUIRE(std::holds_alternative<Record>(parse_json(body, scratch)));
  CHECK(scratch.bytes() == std::string_view{"ook/a"}.size());
}

}  // namespace
}  // namespace qatime::ingest::json_test
