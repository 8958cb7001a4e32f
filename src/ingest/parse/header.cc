// SPDX-License-Identifier: MIT
#include "ingest/parse/header.h"

#include <optional>

#include "base/byte_scan.h"
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

bool is_tag(std::string_view token) noexcept { return token == "qumulo" || token == "qumulo:"; }

bool skip_tag(std::string_view& rest) noexcept { return skip(rest, "qumulo ") || skip(rest, "qumulo: "); }

// A token that does not matter, most often nil.
bool skip_token(std::string_view& rest) noexcept { return skip(rest, "- ") || take_token(rest); }

Parsed<Header> make_header(HeaderForm form, std::optional<Time> time, std::string_view host, std::string_view body) {
  if (!time) return Malformed::time;
  while (body.starts_with(' ')) body.remove_prefix(1);
  skip(body, "\xEF\xBB\xBF");
  return Header{form, *time, host, body};
}

// What follows `<PRI>1 `.
Parsed<Header> parse_rfc5424(std::string_view rest) {
  const ByteMask spaces{rest, ' '};
  const std::size_t time_end = spaces.find(0);
  const std::size_t host_end = time_end == std::string_view::npos ? time_end : spaces.find(time_end + 1);
  if (host_end == std::string_view::npos || host_end == time_end + 1) return Malformed::header;
  const std::string_view time = rest.substr(0, time_end);
  const std::string_view host = rest.substr(time_end + 1, host_end - time_end - 1);
  rest.remove_prefix(host_end + 1);
  if (!skip(rest, "qumulo - - - ")) {  // as the cluster writes it
    if (!skip_tag(rest)) return take_token(rest) ? Malformed::tag : Malformed::header;
    const bool has_process = skip_token(rest);
    const bool has_message = skip_token(rest);
    if (!has_process || !has_message || !skip_structured_data(rest)) return Malformed::header;
  }
  return make_header(HeaderForm::rfc5424, parse_rfc3339(time), host, rest);
}

// `token` is `TIME,HOST,qumulo`.
Parsed<Header> parse_comma_joined(std::string_view token, std::string_view rest) {
  const std::size_t time_end = token.find(',');
  const std::size_t host_end = token.find(',', time_end + 1);
  if (host_end == std::string_view::npos || host_end == time_end + 1) return Malformed::header;
  if (!is_tag(token.substr(host_end + 1))) return Malformed::tag;
  return make_header(HeaderForm::comma_joined, parse_rfc3339(token.substr(0, time_end)),
                     token.substr(time_end + 1, host_end - time_end - 1), rest);
}

// `Mmm dd HH:MM:SS HOST qumulo `.
Parsed<Header> parse_rfc3164(std::string_view message, const TimeZone& zone, Time now) {
  std::string_view rest = message;
  const auto month = take_token(rest);
  skip(rest, " ");  // a day of one digit may be padded
  const auto day = take_token(rest);
  const auto clock = take_token(rest);
  if (!month || !day || !clock) return Malformed::header;
  const std::string_view text = message.substr(0, message.size() - rest.size() - 1);
  const auto host = take_token(rest);
  if (!host || host->empty()) return Malformed::header;
  const std::optional<Time> time = parse_rfc3164_time(text, zone, now);
  if (!skip_tag(rest)) return take_token(rest) && time ? Malformed::tag : Malformed::header;
  skip(rest, "- - - ");
  return make_header(HeaderForm::rfc3164, time, *host, rest);
}

// `TIME HOST qumulo `. What has neither the tag nor a time in its place may be anything.
Parsed<Header> parse_iso(std::string_view rest, bool has_priority) {
  const auto time = take_token(rest);
  if (time && time->find(',') != std::string_view::npos) return parse_comma_joined(*time, rest);
  const auto host = take_token(rest);
  if (!time || !host || host->empty()) return Malformed::header;
  if (!skip_tag(rest)) return take_token(rest) && parse_rfc3339(*time) ? Malformed::tag : Malformed::header;
  const bool has_nils = skip(rest, "- - - ");
  const HeaderForm form = has_nils ? HeaderForm::log_filter : has_priority ? HeaderForm::forward : HeaderForm::file;
  return make_header(form, parse_rfc3339(*time), *host, rest);
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

Parsed<Header> parse_header(std::string_view message, const TimeZone& zone, Time now) {
  const bool has_priority = message.starts_with('<');
  if (has_priority && !skip_priority(message)) return Malformed::header;
  if (has_priority && skip(message, "1 ")) return parse_rfc5424(message);
  if (message.size() > 3 && message[3] == ' ') return parse_rfc3164(message, zone, now);
  return parse_iso(message, has_priority);
}

}  // namespace qatime::ingest
