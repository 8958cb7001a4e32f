// SPDX-License-Identifier: MIT
// The soundness of replies to the calls of qatime.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace qatime::nfs {

// The procedures that qatime calls: of NFS and MOUNT version 3 (RFC 1813), of the portmapper version 2 (RFC 1833
// section 3).
enum class RemoteProcedure : std::uint8_t { null, getport, mnt, getattr, setattr, lookup, readdirplus, other };

// By its numbers in a call (RFC 5531 section 9).
[[nodiscard]] RemoteProcedure remote_procedure(std::uint32_t program, std::uint32_t version,
                                               std::uint32_t number) noexcept;
// As the RFCs write it.
[[nodiscard]] const char* name(RemoteProcedure procedure) noexcept;

// The most entries of one directory that a reply may have: libnfs decodes them by recursion (LibnfsClient::kStack).
inline constexpr std::size_t kMostEntriesOfReply = 16 << 10;

// Says what is wrong with `message`, a record that comes for a call of `procedure`: words that go on after "its reply
// to LOOKUP". Returns null if nothing is: then it is a reply, each boolean is 0 or 1, no count, length or part reaches
// beyond its end, and handles have 64 bytes at most. Bytes behind the results do no harm. Any thread.
[[nodiscard]] const char* find_fault(RemoteProcedure procedure, std::string_view message) noexcept;

}  // namespace qatime::nfs
