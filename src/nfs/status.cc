// SPDX-License-Identifier: MIT
#include "nfs/status.h"

namespace qatime::nfs {

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
  }
  return "other";
}

}  // namespace qatime::nfs
