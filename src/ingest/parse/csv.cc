// SPDX-License-Identifier: MIT
// How a quote in a name is written is nowhere published. A backslash stands for itself ("AD\alice"), so it is taken to
// be doubled (RFC 4180 section 2); only a body that does not have eight fields that way is read again with \".
#include "ingest/parse/csv.h"

#include <cstddef>

#include "base/byte_scan.h"

namespace qatime::ingest {
namespace {

// The character in front of a quote that does not end its field.
enum class Escape : char { doubled = '"', backslash = '\\' };

std::string_view unescape(std::string_view text, Escape escape, std::pmr::memory_resource& scratch) {
  char* const begin = static_cast<char*>(scratch.allocate(text.size(), 1));
  char* end = begin;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == static_cast<char>(escape) && i + 1 < text.size() && text[i + 1] == '"') ++i;
    *end++ = text[i];
  }
  return {begin, end};
}

// Reads the fields from left to right. Once something did not fit, nothing means anything.
class CsvReader {
 public:
  CsvReader(std::string_view body, Escape escape, std::pmr::memory_resource& scratch) noexcept
      : body_{body}, commas_{body, ','}, quotes_{body, '"'}, escape_{escape}, scratch_{scratch} {}

  // A field without quotes, and the comma behind it.
  std::string_view bare() {
    const std::size_t end = commas_.find(at_);
    if (is_at('"') || end == std::string_view::npos) return fail(Malformed::fields);
    const std::string_view field = body_.substr(at_, end - at_);
    at_ = end + 1;
    return field;
  }

  // A field in quotes, and the comma behind it.
  std::string_view quoted() {
    const std::string_view field = take_quoted();
    if (at_ == body_.size()) return fail(Malformed::fields);
    if (!is_at(',')) return fail(Malformed::quote);
    ++at_;
    return field;
  }

  // A field in quotes that ends the body.
  std::string_view last_quoted() {
    const std::string_view field = take_quoted();
    return at_ == body_.size() ? field : fail(is_at(',') ? Malformed::fields : Malformed::quote);
  }

  // The last quoted field, as it stands between its quotes.
  [[nodiscard]] std::string_view written() const noexcept { return written_; }

  [[nodiscard]] bool ok() const noexcept { return ok_; }

  // Unless it is ok.
  [[nodiscard]] Malformed reason() const noexcept { return reason_; }

 private:
  [[nodiscard]] bool is_at(char c) const noexcept { return at_ < body_.size() && body_[at_] == c; }

  std::string_view take_quoted() {
    if (!is_at('"')) return fail(Malformed::fields);
    ++at_;
    const std::size_t end = find_closing_quote();
    if (end == std::string_view::npos) return fail(Malformed::quote);
    written_ = body_.substr(at_, end - at_);
    at_ = end + 1;
    return is_escaped_ ? unescape(written_, escape_, scratch_) : written_;
  }

  std::size_t find_closing_quote() noexcept {
    is_escaped_ = false;
    std::size_t quote = is_at('"') ? at_ : quotes_.find(at_);  // most targets are empty
    while (quote != std::string_view::npos) {
      const bool doubled = escape_ == Escape::doubled && quote + 1 < body_.size() && body_[quote + 1] == '"';
      const bool backslashed = escape_ == Escape::backslash && body_[quote - 1] == '\\';
      if (!doubled && !backslashed) break;
      is_escaped_ = true;
      quote = quotes_.find(quote + (doubled ? 2 : 1));
    }
    return quote;
  }

  // The first failure is the one that tells.
  std::string_view fail(Malformed reason) noexcept {
    if (ok_) reason_ = reason;
    ok_ = false;
    return {};
  }

  std::string_view body_;
  std::size_t at_ = 0;
  ByteMask commas_;
  ByteMask quotes_;
  std::string_view written_;
  Escape escape_;
  bool is_escaped_ = false;
  bool ok_ = true;
  Malformed reason_{};
  std::pmr::memory_resource& scratch_;
};

Parsed<Record> parse_fields(std::string_view body, Escape escape, std::pmr::memory_resource& scratch) {
  CsvReader fields{body, escape, scratch};
  const Record record{.client = fields.bare(),
                      .user = fields.quoted(),
                      .written_user = fields.written(),
                      .protocol = fields.bare(),
                      .operation = fields.bare(),
                      .status = fields.bare(),
                      .file_id = fields.bare(),
                      .path = fields.quoted(),
                      .target = fields.last_quoted()};
  if (!fields.ok()) return fields.reason();
  return record;
}

}  // namespace

Parsed<Record> parse_csv(std::string_view body, std::pmr::memory_resource& scratch) {
  Parsed<Record> record = parse_fields(body, Escape::doubled, scratch);
  if (std::holds_alternative<Malformed>(record)) {
    if (body.empty()) return Malformed::body;
    const Parsed<Record> other = parse_fields(body, Escape::backslash, scratch);
    if (std::holds_alternative<Record>(other)) record = other;
  }
  return record;
}

}  // namespace qatime::ingest
