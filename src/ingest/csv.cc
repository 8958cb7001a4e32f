// SPDX-License-Identifier: MIT
// How a quote in a name is written is nowhere published. A backslash stands for itself ("AD\alice"), so it is taken to
// be doubled (RFC 4180 section 2); only a body that does not have eight fields that way is read again with \".
#include "ingest/csv.h"

#include <cstddef>

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

// Reads the fields from left to right; once something did not fit, everything after fails too.
class Reader {
 public:
  Reader(std::string_view body, Escape escape, std::pmr::memory_resource& scratch) noexcept
      : rest_{body}, escape_{escape}, scratch_{scratch} {}

  // A field without quotes, and the comma behind it.
  std::string_view bare() {
    const std::size_t end = rest_.find(',');
    if (rest_.starts_with('"') || end == std::string_view::npos) return fail(Malformed::fields);
    const std::string_view field = rest_.substr(0, end);
    rest_.remove_prefix(end + 1);
    return field;
  }

  // A field in quotes, and the comma behind it.
  std::string_view quoted() {
    const std::string_view field = take_quoted();
    if (rest_.empty()) return fail(Malformed::fields);
    if (rest_.front() != ',') return fail(Malformed::quote);
    rest_.remove_prefix(1);
    return field;
  }

  // A field in quotes that ends the body.
  std::string_view last_quoted() {
    const std::string_view field = take_quoted();
    return rest_.empty() ? field : fail(rest_.front() == ',' ? Malformed::fields : Malformed::quote);
  }

  // The last quoted field, as it stands between its quotes.
  [[nodiscard]] std::string_view written() const noexcept { return written_; }

  [[nodiscard]] bool ok() const noexcept { return ok_; }

  // Unless it is ok.
  [[nodiscard]] Malformed reason() const noexcept { return reason_; }

 private:
  std::string_view take_quoted() {
    if (!rest_.starts_with('"')) return fail(Malformed::fields);
    rest_.remove_prefix(1);
    const std::size_t end = find_closing_quote();
    if (end == std::string_view::npos) return fail(Malformed::quote);
    written_ = rest_.substr(0, end);
    rest_.remove_prefix(end + 1);
    return is_escaped_ ? unescape(written_, escape_, scratch_) : written_;
  }

  std::size_t find_closing_quote() noexcept {
    is_escaped_ = false;
    std::size_t quote = rest_.find('"');
    while (quote != std::string_view::npos) {
      const bool doubled = escape_ == Escape::doubled && quote + 1 < rest_.size() && rest_[quote + 1] == '"';
      const bool backslashed = escape_ == Escape::backslash && quote > 0 && rest_[quote - 1] == '\\';
      if (!doubled && !backslashed) break;
      is_escaped_ = true;
      quote = rest_.find('"', quote + (doubled ? 2 : 1));
    }
    return quote;
  }

  // The first failure is the one that tells.
  std::string_view fail(Malformed reason) noexcept {
    if (ok_) reason_ = reason;
    ok_ = false;
    rest_ = {};
    return {};
  }

  std::string_view rest_;
  std::string_view written_;
  Escape escape_;
  bool is_escaped_ = false;
  bool ok_ = true;
  Malformed reason_{};
  std::pmr::memory_resource& scratch_;
};

Parsed<Record> parse_fields(std::string_view body, Escape escape, std::pmr::memory_resource& scratch) {
  Reader fields{body, escape, scratch};
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
  if (body.empty()) return Malformed::body;
  Parsed<Record> record = parse_fields(body, Escape::doubled, scratch);
  if (std::holds_alternative<Malformed>(record) && body.find("\\\"") != std::string_view::npos) {
    const Parsed<Record> other = parse_fields(body, Escape::backslash, scratch);
    if (std::holds_alternative<Record>(other)) record = other;
  }
  return record;
}

}  // namespace qatime::ingest
