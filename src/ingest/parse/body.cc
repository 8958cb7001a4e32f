// SPDX-License-Identifier: MIT
#include "ingest/parse/body.h"

#include "ingest/parse/csv.h"
#include "ingest/parse/json.h"

namespace qatime::ingest {
namespace {

// What forwarders leave of a CR or NUL behind the body, as it is or as rsyslog spells it.
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

Parsed<Record> parse_body(std::string_view body, std::pmr::memory_resource& scratch) {
  const bool is_json = body.starts_with('{');
  if (!body.ends_with(is_json ? '}' : '"')) body = strip_tail(body);
  return is_json ? parse_json(body, scratch) : parse_csv(body, scratch);
}

}  // namespace qatime::ingest
