// SPDX-License-Identifier: MIT
#include "nfs/status.h"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <optional>

#include <unistd.h>

namespace qatime::nfs {

namespace {

struct Advice {
  std::optional<Purpose> purpose;  // nothing: any
  std::initializer_list<Status> statuses;
  std::string_view text;
  bool port_matters = false;  // the server might insist on a source port below 1024
};

constexpr std::string_view kEnable = "enable NFS version 3 on the server";

// nfs-ganesha answers ACCES to MNT of what it does not export. If an export wants a privileged port ("secure") and ours
// is none, Linux answers ACCES to MNT, and PERM to all other requests but NULL.
constexpr std::array<Advice, 16> kAdvice{{
    {Purpose::greet,
     {Status::no_program},
     "no NFS service has this port: correct nfs.port, or enable NFS version 3 on the server"},
    {Purpose::greet, {Status::notsupp}, kEnable},
    {Purpose::mount,
     {Status::no_program},
     "no MOUNT service has this port: correct nfs.mount_port, or enable NFS version 3 on the server"},
    {Purpose::mount, {Status::notsupp}, kEnable},
    {Purpose::mount,
     {Status::noent, Status::notdir, Status::inval, Status::nametoolong},
     "the server has no such export: correct `export` in [[nfs.exports]], or the server's list of exports"},
    {Purpose::mount,
     {Status::acces, Status::perm},
     "no such export, or not for this host: correct `export` in [[nfs.exports]], or let this host mount it",
     true},
    {Purpose::mount, {Status::no_auth_sys}, "the export takes krb5 alone: let it take AUTH_SYS, too (sec=sys)"},
    {Purpose::map, {Status::noent}, "no audit path exists below it: correct path and export in nfs.exports"},
    {Purpose::look, {Status::notdir}, "the export is no directory: `export` in [[nfs.exports]] must name one"},
    {Purpose::look,
     {Status::acces, Status::perm},
     "the server refuses every request: let this host use the export, with AUTH_SYS",
     true},
    {Purpose::set,
     {Status::acces, Status::perm},
     "permission denied: give this host root access to the export (no_root_squash; NFS_MAP_NONE on Qumulo), or set "
     "nfs.uid and nfs.gid to a user who owns the files",
     true},
    {Purpose::set, {Status::rofs}, "read-only: make the export writable for this host"},
    {Purpose::set_one, {Status::acces, Status::perm, Status::rofs}, "others of the export succeed"},
    {std::nullopt, {Status::auth}, "the server rejects our credentials: allow AUTH_SYS for this host", true},
    {std::nullopt, {Status::timeout, Status::lost}, "the server does not answer"},
    {std::nullopt, {Status::ignored}, "the server says ok and leaves the atime as it is"},
}};

}  // namespace

std::string_view name(Status status) noexcept {
  switch (status) {
    case Status::ok:
      return "ok";
    case Status::perm:
      return "perm";
    case Status::noent:
      return "noent";
    case Status::io:
      return "io";
    case Status::nxio:
      return "nxio";
    case Status::acces:
      return "acces";
    case Status::exist:
      return "exist";
    case Status::xdev:
      return "xdev";
    case Status::nodev:
      return "nodev";
    case Status::notdir:
      return "notdir";
    case Status::isdir:
      return "isdir";
    case Status::inval:
      return "inval";
    case Status::fbig:
      return "fbig";
    case Status::nospc:
      return "nospc";
    case Status::rofs:
      return "rofs";
    case Status::mlink:
      return "mlink";
    case Status::nametoolong:
      return "nametoolong";
    case Status::notempty:
      return "notempty";
    case Status::dquot:
      return "dquot";
    case Status::stale:
      return "stale";
    case Status::remote:
      return "remote";
    case Status::badhandle:
      return "badhandle";
    case Status::not_sync:
      return "not_sync";
    case Status::bad_cookie:
      return "bad_cookie";
    case Status::notsupp:
      return "notsupp";
    case Status::toosmall:
      return "toosmall";
    case Status::serverfault:
      return "serverfault";
    case Status::badtype:
      return "badtype";
    case Status::jukebox:
      return "jukebox";
    case Status::timeout:
      return "timeout";
    case Status::lost:
      return "lost";
    case Status::auth:
      return "auth";
    case Status::garbage:
      return "garbage";
    case Status::ignored:
      return "ignored";
    case Status::no_program:
      return "no_program";
    case Status::no_auth_sys:
      return "no_auth_sys";
  }
  return "other";
}

std::string advice(Purpose purpose, Status status) {
  const auto* const found = std::ranges::find_if(kAdvice, [&](const Advice& each) {
    return each.purpose.value_or(purpose) == purpose && std::ranges::count(each.statuses, status) > 0;
  });
  if (found == kAdvice.end()) return purpose == Purpose::set_one ? "" : "see the server's log";
  std::string text{found->text};
  if (found->port_matters && ::geteuid() != 0) text += "; allow source ports above 1023, too (insecure)";
  return text;
}

}  // namespace qatime::nfs
