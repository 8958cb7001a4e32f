// SPDX-License-Identifier: MIT
//
// A relay may put a header of its own in front of a whole record: syslog-ng does so with network() and without
// flags(syslog-protocol). It takes the version of the inner header for a tag. So an inner record is looked for where a
// tag would be, through kMostRelays of them. It is not looked for behind the tag of another program, because such a
// program might log text that strangers choose.
#include "ingest/parse/header.h"

#include <chrono>
#include <optional>

#include "base/address.h"
#include "base/byte_scan.h"
#include "ingest/parse/body.h"
#include "ingest/parse/framing.h"
#include "ingest/parse/rfc3164.h"

namespace qatime::ingest {
namespace {

// Cuts the text up to the next space off `rest`, and the space. Nothing if there is no space.
std::optional<std::string_view> take_token(std::string_view& rest) noexcept {
  const std::size_t end = rest.find(' ');
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view token = rest.substr(0, end);
  rest.remove_prefix(end + 1);
  return token;
}

bool skip(std::string_view& rest, std::string_view prefix) noexcept {
  if (!rest.starts_with(prefix)) return false;
  rest.remove_prefix(prefix.size());
  return true;
}

// One to three digits between `<`, which is there, and `>`.
bool skip_priority(std::string_view& rest) noexcept {
  constexpr std::size_t kMostDigits = 3;
  std::size_t end = 1;
  while (end < rest.size() && end <= kMostDigits && rest[end] >= '0' && rest[end] <= '9') ++end;
  if (end == 1 || end == rest.size() || rest[end] != '>') return false;
  rest.remove_prefix(end + 1);
  return true;
}

// STRUCTURED-DATA of RFC 5424 section 6.3 and the space behind it: `-`, or elements `[...]` in whose quoted values
// a backslash escapes.
bool skip_structured_data(std::string_view& rest) noexcept {
  if (skip(rest, "- ")) return true;
  bool quoted = false;
  for (std::size_t i = 0; i < rest.size(); ++i) {
    const char c = rest[i];
    if (i == 0 && c != '[') return false;
    if (quoted && c == '\\') {
      ++i;
    } else if (c == '"') {
      quoted = !quoted;
    } else if (!quoted && c == ' ' && rest[i - 1] == ']') {
      rest.remove_prefix(i + 1);
      return true;
    }
  }
  return false;
}

constexpr int kMostRelays = 4;

void skip_blanks(std::string_view& rest) noexcept {
  while (rest.starts_with(' ')) rest.remove_prefix(1);
}

// `qumulo`, perhaps with a process id in brackets (RFC 3164 section 5.3), and the blank or colon behind it.
bool skip_tag(std::string_view& rest) noexcept {
  if (skip(rest, "qumulo ") || skip(rest, "qumulo: ")) return true;
  std::string_view text = rest;
  if (!skip(text, "qumulo")) return false;
  if (skip(text, "[")) {
    const std::size_t end = text.find(']');
    if (end == std::string_view::npos) return false;
    text.remove_prefix(end + 1);
  }
  if (!skip(text, ":") && !text.starts_with(' ')) return false;
  skip(text, " ");
  rest = text;
  return true;
}

// A token that does not matter, most often nil. Skips nothing if there is no space: then none is behind it, either.
void skip_token(std::string_view& rest) noexcept {
  if (!skip(rest, "- ")) take_token(rest);
}

struct HeaderTime {
  std::optional<Time> time;  // nothing: it is none
  bool is_local;
};

// `shown` is what the clocks of the zone show.
Time to_utc(Time shown, const TimeZone& zone) {
  const auto whole = std::chrono::floor<std::chrono::seconds>(shown);
  return zone.to_utc(std::chrono::local_seconds{whole.time_since_epoch()}) + (shown - whole);
}

// With an offset, or local.
HeaderTime read_other(std::string_view text, const LocalClock& local) {
  const std::optional<Time> time = parse_rfc3339(text);
  if (!time || has_offset(text)) return {time, false};
  // Nobody sets a time beyond those of NFSv3, so it may stay as it is.
  return {fits_nfstime3(*time) ? to_utc(*time, local.zone) : *time, true};
}

// A cluster writes UTC: that is worth the shorter way.
inline HeaderTime read_iso(std::string_view text, const LocalClock& local) {
  if (text.ends_with('Z')) return {parse_rfc3339(text), false};
  return read_other(text, local);
}

HeaderTime read_traditional(std::string_view text, const LocalClock& local) {
  return {parse_rfc3164_time(text, local), true};
}

Parsed<Header> make_header(HeaderForm form, const HeaderTime& time, std::string_view host, std::string_view body) {
  if (!time.time) return Malformed::time;
  skip_blanks(body);
  skip(body, kByteOrderMark);
  return Header{form, *time.time, host, body, time.is_local};
}

Parsed<Header> parse_any(std::string_view message, const LocalClock& local, int relays);
Parsed<Header> parse_rfc5424(std::string_view rest, const LocalClock& local, int relays);

Parsed<Header> inner_or(const Parsed<Header>& inner, Malformed outer) {
  return std::holds_alternative<Header>(inner) ? inner : Parsed<Header>{outer};
}

// Reads the record that a relay has put behind a header of its own: with its priority, or from its version on. Returns
// `outer` if there is none.
Parsed<Header> parse_inner(Malformed outer, std::string_view rest, const LocalClock& local, int relays) {
  if (relays == kMostRelays) return outer;
  skip_blanks(rest);
  if (rest.starts_with('<')) return inner_or(parse_any(rest, local, relays + 1), outer);
  if (skip(rest, "1 ")) return inner_or(parse_rfc5424(rest, local, relays + 1), outer);
  return outer;
}

// Reads what follows the host where the tag is not ours.
Parsed<Header> parse_foreign(bool has_time, std::string_view rest, const LocalClock& local, int relays) {
  const bool has_tag = rest.find(' ') != std::string_view::npos;
  return parse_inner(has_tag && has_time ? Malformed::tag : Malformed::header, rest, local, relays);
}

// Reads what follows `<PRI>1 TIME HOST ` where the tag is not ours.
Parsed<Header> parse_foreign_rfc5424(std::string_view rest, const LocalClock& local, int relays) {
  const auto tag = take_token(rest);
  if (!tag) return Malformed::header;
  skip_token(rest);
  skip_token(rest);
  if (!skip_structured_data(rest) || relays == kMostRelays) return Malformed::tag;
  if (*tag == "-") return parse_inner(Malformed::tag, rest, local, relays);
  if (*tag != "1") return Malformed::tag;
  return inner_or(parse_rfc5424(rest, local, relays + 1), Malformed::tag);
}

// Reads what follows `<PRI>1 `.
Parsed<Header> parse_rfc5424(std::string_view rest, const LocalClock& local, int relays) {
  const ByteMask spaces{rest, ' '};
  const std::size_t time_end = spaces.find(0);
  const std::size_t host_end = time_end == std::string_view::npos ? time_end : spaces.find(time_end + 1);
  if (host_end == std::string_view::npos || host_end == time_end + 1) return Malformed::header;
  const std::string_view time = rest.substr(0, time_end);
  const std::string_view host = rest.substr(time_end + 1, host_end - time_end - 1);
  rest.remove_prefix(host_end + 1);
  if (!skip(rest, "qumulo - - - ")) {  // as the cluster writes it
    if (!skip_tag(rest)) return parse_foreign_rfc5424(rest, local, relays);
    skip_token(rest);
    skip_token(rest);
    if (!skip_structured_data(rest)) return Malformed::header;
  }
  return make_header(HeaderForm::rfc5424, read_iso(time, local), host, rest);
}

// Whether a body begins here: that of JSON, one of CSV by the address of the client and the quote behind it, or a
// repeated one.
bool begins_body(std::string_view text) noexcept {
  if (text.starts_with('{') || text.starts_with(kRepeated)) return true;
  const std::size_t end = text.find(',');
  return end != std::string_view::npos && text.substr(end + 1).starts_with('"') && parse_address(text.substr(0, end));
}

// Reads what follows `TIME,`: `HOST,qumulo BODY`, `HOST,BODY`, `qumulo BODY` or `BODY`.
Parsed<Header> parse_comma_joined(const HeaderTime& time, std::string_view rest) {
  constexpr HeaderForm kForm = HeaderForm::comma_joined;
  skip_blanks(rest);
  if (begins_body(rest)) return make_header(kForm, time, {}, rest);
  std::string_view body = rest;
  if (skip_tag(body) && (skip_blanks(body), begins_body(body))) return make_header(kForm, time, {}, body);

  const std::size_t host_end = rest.find(',');
  if (host_end == std::string_view::npos || host_end == 0) return Malformed::header;
  const std::string_view host = rest.substr(0, host_end);
  if (host.find(' ') != std::string_view::npos) return Malformed::header;
  rest.remove_prefix(host_end + 1);
  skip_blanks(rest);
  if (skip_tag(rest) || begins_body(rest)) return make_header(kForm, time, host, rest);
  return take_token(rest) ? Malformed::tag : Malformed::header;
}

// `Mmm dd HH:MM:SS HOST qumulo `.
Parsed<Header> parse_rfc3164(std::string_view message, const LocalClock& local, int relays) {
  std::string_view rest = message;
  take_token(rest);
  skip(rest, " ");  // a day of one digit may be padded
  take_token(rest);
  constexpr std::size_t kClock = 8;  // HH:MM:SS
  if (rest.size() > kClock && rest[kClock] == ',') {
    const std::size_t end = message.size() - rest.size() + kClock;
    return parse_comma_joined(read_traditional(message.substr(0, end), local), message.substr(end + 1));
  }
  take_token(rest);
  const std::string_view text = message.substr(0, message.size() - rest.size() - 1);
  const auto host = take_token(rest);
  if (!host || host->empty()) return Malformed::header;
  const HeaderTime time = read_traditional(text, local);
  if (!skip_tag(rest)) return parse_foreign(time.time.has_value(), rest, local, relays);
  skip(rest, "- - - ");
  return make_header(HeaderForm::rfc3164, time, *host, rest);
}

// `TIME HOST qumulo `. A line with neither the tag nor a time in its place may be anything.
Parsed<Header> parse_iso(std::string_view message, bool has_priority, const LocalClock& local, int relays) {
  std::string_view rest = message;
  const std::string_view time = take_token(rest).value_or(message);  // without a blank there is no host, either
  const std::size_t comma = time.find(',');
  if (comma != std::string_view::npos) {
    return parse_comma_joined(read_iso(message.substr(0, comma), local), message.substr(comma + 1));
  }
  const auto host = take_token(rest);
  if (!host || host->empty()) return Malformed::header;
  if (!skip_tag(rest)) return parse_foreign(parse_rfc3339(time).has_value(), rest, local, relays);
  const bool has_nils = skip(rest, "- - - ");
  const HeaderForm form = has_nils ? HeaderForm::log_filter : has_priority ? HeaderForm::forward : HeaderForm::file;
  return make_header(form, read_iso(time, local), *host, rest);
}

Parsed<Header> parse_any(std::string_view message, const LocalClock& local, int relays) {
  const bool has_priority = message.starts_with('<');
  if (has_priority) {
    if (!skip_priority(message)) return Malformed::header;
    skip_blanks(message);
    if (skip(message, "1 ")) return parse_rfc5424(message, local, relays);
  }
  if (message.size() > 3 && message[3] == ' ') return parse_rfc3164(message, local, relays);
  return parse_iso(message, has_priority, local, relays);
}

}  // namespace

std::string_view describe(HeaderForm form) noexcept {
  switch (form) {
    case HeaderForm::rfc5424:
      return "RFC 5424";
    case HeaderForm::forward:
      return "rsyslog's forward format";
    case HeaderForm::file:
      return "rsyslog's file format";
    case HeaderForm::log_filter:
      return "LogFilter's format";
    case HeaderForm::comma_joined:
      return "comma-joined template";
    case HeaderForm::rfc3164:
      return "RFC 3164";
  }
  return {};
}

Parsed<Header> parse_header(std::string_view message, const LocalClock& local) {
  if (message.starts_with('\xEF')) skip(message, kByteOrderMark);
  return parse_any(message, local, 0);
}

}  // namespace qatime::ingest
