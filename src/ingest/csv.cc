// SPDX-License-Identifier: MIT
// How a quote in a name is written is nowhere published. A backslash stands for itself ("AD\alice"), so it is taken to
// be doubled (RFC 4180 section 2); only a body that does not have eight fields that way is read again with \".
#include "ingest/csv.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>

namespace qatime::ingest {
namespace {

constexpr std::size_t kFields = 8;
constexpr std::array<bool, kFields> kQuoted{false, true, false, false, false, false, true, true};

// The character in front of a quote that does not end its field.
enum class Escape : char { doubled = '"', backslash = '\\' };

struct Quoted {
  std::size_t size = 0;  // up to the closing quote
  bool escaped = false;
};

// `text` begins behind an opening quote. Nothing if no quote closes it.
std::optional<Quoted> find_closing_quote(std::string_view text, Escape escape) noexcept {
  Quoted field;
  std::size_t quote = text.find('"');
  while (quote != std::string_view::npos) {
    const bool doubled = escape == Escape::doubled && quote + 1 < text.size() && text[quote + 1] == '"';
    const bool backslashed = escape == Escape::backslash && quote > 0 && text[quote - 1] == '\\';
    if (!doubled && !backslashed) {
      field.size = quote;
      return field;
    }
    field.escaped = true;
    quote = text.find('"', quote + (doubled ? 2 : 1));
  }
  return std::nullopt;
}

std::string_view unescape(std::string_view text, Escape escape, std::pmr::memory_resource& scratch) {
  char* const begin = static_cast<char*>(scratch.allocate(text.size(), 1));
  char* end = begin;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == static_cast<char>(escape) && i + 1 < text.size() && text[i + 1] == '"') ++i;
    *end++ = text[i];
  }
  return {begin, end};
}

// Cuts one field off `rest`.
Parsed<std::string_view> take_field(std::string_view& rest, bool quoted, Escape escape,
                                    std::pmr::memory_resource& scratch) {
  if (rest.starts_with('"') != quoted) return Malformed::fields;
  if (!quoted) {
    const std::string_view field = rest.substr(0, rest.find(','));
    rest.remove_prefix(field.size());
    return field;
  }
  rest.remove_prefix(1);
  const std::optional<Quoted> found = find_closing_quote(rest, escape);
  if (!found) return Malformed::quote;
  const std::string_view field = rest.substr(0, found->size);
  rest.remove_prefix(found->size + 1);
  if (!rest.empty() && rest.front() != ',') return Malformed::quote;
  return found->escaped ? unescape(field, escape, scratch) : field;
}

Parsed<Record> parse_fields(std::string_view rest, Escape escape, std::pmr::memory_resource& scratch) {
  std::array<std::string_view, kFields> fields;
  for (std::size_t i = 0; i < kFields; ++i) {
    const Parsed<std::string_view> field = take_field(rest, kQuoted[i], escape, scratch);
    if (const auto* const reason = std::get_if<Malformed>(&field)) return *reason;
    fields[i] = std::get<std::string_view>(field);
    const bool is_last = i + 1 == kFields;
    if (rest.empty() != is_last) return Malformed::fields;
    if (!is_last) rest.remove_prefix(1);
  }
  return Record{fields[0], fields[1], fields[2], fields[3], fields[4], fields[5], fields[6], fields[7]};
}

// What forwarders leave of a CR or NUL behind the closing quote, as it is or as rsyslog spells it.
std::string_view strip_tail(std::string_view body) noexcept {
  for (;;) {
    if (body.ends_with("#015") || body.ends_with("#000")) {
      body.remove_suffix(4);
    } else if (body.ends_with('\r') || body.ends_with('\0') || body.ends_with('\n')) {
      body.remove_suffix(1);
    } else {
      return body;
    }
  }
}

}  // namespace

Parsed<Record> parse_csv(std::string_view body, std::pmr::memory_resource& scratch) {
  if (body.empty() || body.front() == '{') return Malformed::body;
  if (body.back() != '"') body = strip_tail(body);
  const Parsed<Record> record = parse_fields(body, Escape::doubled, scratch);
  if (std::holds_alternative<Record>(record) || body.find("\\\"") == std::string_view::npos) return record;
  const Parsed<Record> other = parse_fields(body, Escape::backslash, scratch);
  return std::holds_alternative<Record>(other) ? other : record;
}

}  // namespace qatime::ingest
