// SPDX-License-Identifier: MIT
// The JSON body of an audit record: {"user_id": {"name"}, "user_ip", "protocol", "operation", "status",
// "details": {"path", "target", "file_id"}}, in any order and with more besides.
#pragma once

#include <memory_resource>
#include <string_view>

#include "ingest/parse/reason.h"
#include "ingest/parse/record.h"

namespace qatime::ingest {

// Reads all of `body`; the record's views point into `scratch` and `body`, and live as long as both. Fields that are
// not there, or are no strings, are empty; without operation or status it is Malformed::fields, what is no JSON
// Malformed::body.
[[nodiscard]] Parsed<Record> parse_json(std::string_view body, std::pmr::memory_resource& scratch);

}  // namespace qatime::ingest
