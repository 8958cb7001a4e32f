// SPDX-License-Identifier: MIT
// The messages of the scripted server: RFC 5531 (RPC), RFC 1813 (NFS and MOUNT version 3), RFC 1833 (portmapper
// version 2). Read and written word by word, so that the client's own encoder is checked by another hand.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "nfs/memory_tree.h"
#include "nfs/scripted_server.h"
#include "nfs/xdr.h"

namespace qatime::nfs::testing {

enum AcceptStat : std::uint32_t {
  kSuccess = 0,
  kProgUnavail = 1,
  kProgMismatch = 2,
  kProcUnavail = 3,
  kGarbageArgs = 4,
  kSystemErr = 5
};

struct Call {
  std::uint32_t xid = 0;
  Request request{};
  AcceptStat acceptable = kSuccess;  // how it must be answered, if not this
};

// `record` without its marker. Throws std::out_of_range when it is cut short.
[[nodiscard]] Call read_call(std::string_view record);

[[nodiscard]] std::string accepted(std::uint32_t xid, AcceptStat status, std::string_view results);
// AUTH_ERROR
[[nodiscard]] std::string denied(std::uint32_t xid, std::uint32_t auth_stat);
[[nodiscard]] std::string rpc_mismatch(std::uint32_t xid);

// The beginning of all results, and all of them if it is not ok.
[[nodiscard]] XdrWriter status_only(Status status);
void write_attributes(XdrWriter& out, const Node& node);
// post_op_attr; `node` may be null.
void write_optional(XdrWriter& out, const Node* node, bool with_attributes);

}  // namespace qatime::nfs::testing
