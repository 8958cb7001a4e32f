// SPDX-License-Identifier: MIT
// Clusters write JSON that is none: a backslash stands unescaped in a user's name ("AD\alice"), and names are bytes,
// control characters and broken UTF-8 among them. So a body that the parser may not take as it is meant is repaired
// before: a backslash that begins no escape is escaped, and so is a control character. "AD\tom" is an escape, by
// mistake; that is why a record also has the user as written.
//
// The parser does not tell where a string stood in the text. The repair, which sees the strings in the same order,
// does.
#include "ingest/parse/json.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include <boost/json/basic_parser_impl.hpp>

namespace qatime::ingest {
namespace {

namespace json = boost::json;

// --- repair

// The UTF-16 unit that `text` begins with as \uXXXX.
std::optional<std::uint16_t> unit_at(std::string_view text) noexcept {
  constexpr std::size_t kLength = 6;
  if (text.size() < kLength || !text.starts_with("\\u")) return std::nullopt;
  std::uint16_t unit = 0;
  const auto [end, error] = std::from_chars(text.data() + 2, text.data() + kLength, unit, 16);
  return end == text.data() + kLength ? std::optional{unit} : std::nullopt;
}

// How long the escape is that `text` begins with (RFC 8259 section 7); 0: it is none. Both halves of a surrogate pair
// are one.
std::size_t escape_length(std::string_view text) noexcept {
  constexpr std::string_view kShort = "\"\\/bfnrt";
  if (text.size() > 1 && kShort.find(text[1]) != std::string_view::npos) return 2;
  const auto unit = unit_at(text);
  if (!unit) return 0;
  if (*unit < 0xD800 || *unit > 0xDFFF) return 6;
  const auto low = unit_at(text.substr(6));
  return *unit < 0xDC00 && low && *low >= 0xDC00 && *low <= 0xDFFF ? 12 : 0;
}

bool is_control(char c) noexcept { return static_cast<unsigned char>(c) < 0x20; }

// A body that is JSON if `body` nearly was.
class Repair {
 public:
  explicit Repair(std::string_view body) : rest_{body} {
    text_.reserve(body.size() + body.size() / 4);
    while (!rest_.empty()) {
      copy(std::min(rest_.find('"'), rest_.size() - 1) + 1);
      if (!rest_.empty()) copy_string();
    }
  }

  [[nodiscard]] std::string_view text() const noexcept { return text_; }

  // The bytes between the quotes of the body's strings, keys included.
  [[nodiscard]] const std::vector<std::string_view>& strings() const noexcept { return strings_; }

 private:
  void copy(std::size_t size) {
    text_.append(rest_.substr(0, size));
    rest_.remove_prefix(size);
  }

  // Up to and with the closing quote.
  void copy_string() {
    const char* const begin = rest_.data();
    for (;;) {
      const auto special = std::ranges::find_if(rest_, [](char c) { return c == '"' || c == '\\' || is_control(c); });
      copy(static_cast<std::size_t>(special - rest_.begin()));
      if (rest_.empty() || rest_.front() == '"') break;
      copy_special();
    }
    strings_.emplace_back(begin, static_cast<std::size_t>(rest_.data() - begin));
    copy(std::min<std::size_t>(rest_.size(), 1));
  }

  void copy_special() {
    const char c = rest_.front();
    if (const std::size_t length = c == '\\' ? escape_length(rest_) : 0; length > 0) return copy(length);
    constexpr std::string_view kDigits = "0123456789abcdef";
    if (c == '\\') {
      text_.append("\\\\");
    } else {
      text_.append("\\u00").append({kDigits[static_cast<unsigned char>(c) >> 4], kDigits[c & 0xF]});
    }
    rest_.remove_prefix(1);
  }

  // Not in the scratch memory, where what they outgrow would stay until the whole read is handed over.
  std::string_view rest_;
  std::string text_;
  std::vector<std::string_view> strings_;
};

// --- parsing

// The parser calls this. It fills the record, whose fields are one or two objects deep.
class RecordReader {
 public:
  // NOLINTBEGIN(readability-identifier-naming): the parser wants them
  static constexpr std::size_t max_object_size = SIZE_MAX;
  static constexpr std::size_t max_array_size = SIZE_MAX;
  static constexpr std::size_t max_key_size = SIZE_MAX;
  static constexpr std::size_t max_string_size = SIZE_MAX;
  // NOLINTEND(readability-identifier-naming)

  explicit RecordReader(std::pmr::memory_resource& scratch) : scratch_{scratch} {}

  [[nodiscard]] const Record& record() const noexcept { return record_; }

  // Which of the strings the user is, if there is one.
  [[nodiscard]] std::size_t user_index() const noexcept { return user_index_; }

  bool on_document_begin(json::error_code& /*error*/) { return true; }
  bool on_document_end(json::error_code& /*error*/) { return true; }
  bool on_object_begin(json::error_code& /*error*/) { return enter(); }
  bool on_object_end(std::size_t /*size*/, json::error_code& /*error*/) { return leave(); }
  bool on_array_begin(json::error_code& /*error*/) { return enter(); }
  bool on_array_end(std::size_t /*size*/, json::error_code& /*error*/) { return leave(); }
  bool on_number_part(json::string_view /*text*/, json::error_code& /*error*/) { return true; }
  bool on_int64(std::int64_t /*value*/, json::string_view /*text*/, json::error_code& /*error*/) { return true; }
  bool on_uint64(std::uint64_t /*value*/, json::string_view /*text*/, json::error_code& /*error*/) { return true; }
  bool on_double(double /*value*/, json::string_view /*text*/, json::error_code& /*error*/) { return true; }
  bool on_bool(bool /*value*/, json::error_code& /*error*/) { return true; }
  bool on_null(json::error_code& /*error*/) { return true; }
  bool on_comment_part(json::string_view /*text*/, json::error_code& /*error*/) { return true; }
  bool on_comment(json::string_view /*text*/, json::error_code& /*error*/) { return true; }

  bool on_key_part(json::string_view part, std::size_t /*size*/, json::error_code& /*error*/) { return add(part); }
  bool on_string_part(json::string_view part, std::size_t /*size*/, json::error_code& /*error*/) { return add(part); }

  bool on_key(json::string_view last, std::size_t /*size*/, json::error_code& /*error*/) {
    add(last);
    if (depth_ == 1)
      section_ = text_ == "user_id" ? Section::user : text_ == "details" ? Section::details : Section::top;
    field_ = find_field();
    text_.clear();
    ++strings_;
    return true;
  }

  bool on_string(json::string_view last, std::size_t /*size*/, json::error_code& /*error*/) {
    add(last);
    if (field_ != nullptr) *field_ = keep();
    if (field_ == &record_.user) user_index_ = strings_;
    text_.clear();
    ++strings_;
    return true;
  }

 private:
  // The object of the first level that a key of the second one is in.
  enum class Section : std::uint8_t { top, user, details };

  bool enter() {
    ++depth_;
    field_ = nullptr;
    return true;
  }

  bool leave() {
    --depth_;
    return true;
  }

  bool add(json::string_view part) {
    text_.append(part.data(), part.size());
    return true;
  }

  // Where the value of the key in text_ goes.
  std::string_view* find_field() {
    if (depth_ == 1) {
      return text_ == "user_ip"     ? &record_.client
             : text_ == "protocol"  ? &record_.protocol
             : text_ == "operation" ? &record_.operation
             : text_ == "status"    ? &record_.status
                                    : nullptr;
    }
    if (depth_ == 2 && section_ == Section::user) return text_ == "name" ? &record_.user : nullptr;
    if (depth_ == 2 && section_ == Section::details) {
      return text_ == "path"      ? &record_.path
             : text_ == "target"  ? &record_.target
             : text_ == "file_id" ? &record_.file_id
                                  : nullptr;
    }
    return nullptr;
  }

  std::string_view keep() {
    char* const kept = static_cast<char*>(scratch_.allocate(text_.size(), 1));
    std::memcpy(kept, text_.data(), text_.size());
    return {kept, text_.size()};
  }

  std::pmr::memory_resource& scratch_;
  Record record_{};
  std::string text_;  // of the key or string that is being read
  int depth_ = 0;
  Section section_ = Section::top;
  std::string_view* field_ = nullptr;  // of the key that was read last
  std::size_t strings_ = 0;            // read up to now, keys included
  std::size_t user_index_ = 0;
};

class Parser {
 public:
  explicit Parser(std::pmr::memory_resource& scratch) : parser_{options(), scratch} {}

  // Whether all of `text` is one JSON value.
  bool parse(std::string_view text) {
    json::error_code error;
    const std::size_t size = parser_.write_some(false, text.data(), text.size(), error);
    return !error && size == text.size();
  }

  [[nodiscard]] const RecordReader& reader() const noexcept { return parser_.handler(); }

 private:
  static json::parse_options options() {
    json::parse_options options;
    options.allow_invalid_utf8 = true;
    return options;
  }

  json::basic_parser<RecordReader> parser_;
};

Parsed<Record> check(const Record& record) {
  if (record.operation.empty() || record.status.empty()) return Malformed::fields;
  return record;
}

}  // namespace

Parsed<Record> parse_json(std::string_view body, std::pmr::memory_resource& scratch) {
  if (body.find('\\') == std::string_view::npos) {
    Parser parser{scratch};
    if (parser.parse(body)) {
      Record record = parser.reader().record();
      record.written_user = record.user;
      return check(record);
    }
  }
  const Repair repair{body};
  Parser parser{scratch};
  if (!parser.parse(repair.text())) return Malformed::body;
  Record record = parser.reader().record();
  if (!record.user.empty()) record.written_user = repair.strings().at(parser.reader().user_index());
  return check(record);
}

}  // namespace qatime::ingest
