// SPDX-License-Identifier: MIT
// The fields of an audit record, before anything is decided.
#pragma once

#include <string_view>

namespace qatime::ingest {

// The fields of an audit record, unescaped, as bytes. The function that makes a record says how long the views live.
struct Record {
  std::string_view client;  // numeric address
  std::string_view user;
  std::string_view written_user;  // before it was unescaped
  std::string_view protocol;
  std::string_view operation;
  std::string_view status;
  std::string_view file_id;
  std::string_view path;
  std::string_view target;  // of a rename
};

}  // namespace qatime::ingest
