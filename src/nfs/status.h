// SPDX-License-Identifier: MIT
// The status of an NFS request, and advice about it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace qatime::nfs {

// nfsstat3 with its numbers (RFC 1813 section 2.6; mountstat3 of section 5.1.5 shares them), and outcomes of requests
// that get none.
enum class Status : std::uint32_t {
  ok = 0,
  perm = 1,
  noent = 2,
  io = 5,
  nxio = 6,
  acces = 13,
  exist = 17,
  xdev = 18,
  nodev = 19,
  notdir = 20,
  isdir = 21,
  inval = 22,
  fbig = 27,
  nospc = 28,
  rofs = 30,
  mlink = 31,
  nametoolong = 63,
  notempty = 66,
  dquot = 69,
  stale = 70,
  remote = 71,
  badhandle = 10001,
  not_sync = 10002,
  bad_cookie = 10003,
  notsupp = 10004,
  toosmall = 10005,
  serverfault = 10006,
  badtype = 10007,
  jukebox = 10008,

  timeout = 20000,      // no reply within nfs.timeout; the server may still execute the request
  lost = 20001,         // the connection ended first; the server may have executed the request
  auth = 20002,         // the server rejected the credentials (RFC 5531 section 9, MSG_DENIED)
  garbage = 20003,      // the reply could not be decoded, or the server could not decode the request
  ignored = 20004,      // the server says ok to SETATTR and leaves the atime unchanged
  no_program = 20005,   // another program has this port (RFC 5531 section 9, PROG_UNAVAIL)
  no_auth_sys = 20006,  // MNT succeeded, but not for our credentials: the export takes krb5 alone
};

// Returns the label of a status in metrics and log lines: "noent", "timeout". Statuses outside this list are "other".
[[nodiscard]] std::string_view name(Status status) noexcept;

// The purpose of a request, because advice about one status differs by it.
enum class Purpose : std::uint8_t {
  greet,    // NULL: is NFS version 3 there?
  mount,    // MNT of an export
  map,      // LOOKUP of a first component below an export
  look,     // GETATTR of the root of an export
  set,      // SETATTR, where others of the export end likewise or are not known
  set_one,  // SETATTR of one object, where others of its export succeed
};

// Returns the advice for an administrator, for log lines, the page and commands: a phrase for one line. Empty if there
// is nothing to do. Names ports above 1023 only if we are not root, whose requests come from lower ones. Any thread may
// call it.
[[nodiscard]] std::string advice(Purpose purpose, Status status);

}  // namespace qatime::nfs
