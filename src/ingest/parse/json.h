// SPDX-License-Identifier: MIT
// The JSON body of an audit record: {"user_id": {"name"}, "user_ip", "protocol", "operation", "status",
// "details": {"path", "target", "file_id"}}, in any order and with more besides.
#pragma once

#include <memory_resource>
#include <string_view>

#include "ingest/parse/reason.h"
#include "ingest/parse/record.h"

namespace qatime::ingest {

// Reads all of `body`. The record's views point into `scratch` and `body`, and live as long as both. A field that is
// missing, or not a string, is empty; of several strings for one field, the last counts. Strings may hold any byte, and
// backslashes that begin no escape, such as half a surrogate pair: they stay. Objects and arrays are at most 32 deep.
// Failure: Malformed::fields without operation or status, Malformed::body if `body` is not JSON.
[[nodiscard]] Parsed<Record> parse_json(std::string_view body, std::pmr::memory_resource& scratch);

}  // namespace qatime::ingest
