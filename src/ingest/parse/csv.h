// SPDX-License-Identifier: MIT
// The CSV body of an audit record: address,"user",protocol,operation,status,file_id,"path","target".
#pragma once

#include <memory_resource>
#include <string_view>

#include "ingest/parse/reason.h"
#include "ingest/parse/record.h"

namespace qatime::ingest {

// Reads all of `body`. A quote in a quoted field is doubled; if that does not give eight fields, a backslash is in
// front of it. A bare field does not begin with a quote. The record's views point into it, or into `scratch` for
// unescaped fields, and live as long as both. Failure: Malformed::body, ::fields or ::quote.
[[nodiscard]] Parsed<Record> parse_csv(std::string_view body, std::pmr::memory_resource& scratch);

}  // namespace qatime::ingest
