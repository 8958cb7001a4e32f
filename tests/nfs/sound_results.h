// SPDX-License-Identifier: MIT
// Results of each procedure that qatime calls, as RFC 1813 and RFC 1833 have them: samples for tests and for fuzzing.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "nfs/reply/checker.h"
#include "nfs/xdr.h"

namespace qatime::nfs::testing {

inline constexpr std::uint32_t kStale = 70;

// fattr3 of a directory.
inline void write_fattr3(XdrWriter& out) {
  out.word(2).word(0755).word(3).word(0).word(0).hyper(4096).hyper(4096).hyper(0).hyper(1).hyper(7);
  for (std::uint32_t time = 0; time < 3; ++time) out.word(1'700'000'000 + time).word(999'999'999);
}

// post_op_attr
inline XdrWriter& write_attributes(XdrWriter& out, bool follow) {
  out.word(follow ? 1 : 0);
  if (follow) write_fattr3(out);
  return out;
}

// entryplus3, with the mark in front that there is one. No handle if that is empty.
inline XdrWriter& write_entry(XdrWriter& out, std::string_view name, bool attributes, std::string_view handle) {
  write_attributes(out.word(1).hyper(7).opaque(name).hyper(9), attributes).word(handle.empty() ? 0 : 1);
  return handle.empty() ? out : out.opaque(handle);
}

// With all that is optional, with none of it, and of failures.
inline std::map<RemoteProcedure, std::vector<std::string>> sound_results() {
  const std::string handle(64, 'h');
  const auto status = [](std::uint32_t number) { return XdrWriter{}.word(number); };
  const auto changed = [&](std::uint32_t number) {  // wcc_data
    XdrWriter out = status(number).word(1).raw(std::string(24, 'c'));
    return write_attributes(out, true).bytes();
  };
  const auto failed = [&](bool attributes) {
    XdrWriter out = status(kStale);
    return write_attributes(out, attributes).bytes();
  };
  XdrWriter got = status(0);
  write_fattr3(got);
  XdrWriter found = status(0).opaque(handle);
  write_attributes(write_attributes(found, true), true);
  XdrWriter page = status(0);
  write_attributes(page, true).hyper(9);
  write_entry(write_entry(write_entry(page, "a", true, handle), "", false, "h"), "name", true, {}).word(0).word(1);
  const std::string stale = status(kStale).bytes();
  return {
      {RemoteProcedure::null, {""}},
      {RemoteProcedure::getport, {status(0).bytes(), status(2049).bytes()}},
      {RemoteProcedure::mnt,
       {status(0).opaque(handle).word(2).word(1).word(6).bytes(), status(0).opaque("h").word(0).bytes(), stale}},
      {RemoteProcedure::getattr, {got.bytes(), stale}},
      {RemoteProcedure::setattr, {changed(0), changed(kStale), status(0).word(0).word(0).bytes()}},
      {RemoteProcedure::lookup,
       {found.bytes(), status(0).opaque("h").word(0).word(0).bytes(), failed(true), failed(false)}},
      {RemoteProcedure::readdirplus,
       {page.bytes(), status(0).word(0).hyper(9).word(0).word(0).bytes(), failed(true), failed(false)}},
  };
}

}  // namespace qatime::nfs::testing
