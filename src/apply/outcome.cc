// SPDX-License-Identifier: MIT
#include "apply/outcome.h"

namespace qatime::apply {

Outcome classify(nfs::Status status) noexcept {
  using nfs::Status;
  switch (status) {
    case Status::ok:
      return Outcome::done;
    case Status::stale:
    case Status::badhandle:
    case Status::not_sync:
      return Outcome::look_again;
    case Status::jukebox:
    case Status::timeout:
    case Status::lost:
      return Outcome::wait;
    case Status::acces:
    case Status::perm:
    case Status::rofs:
      return Outcome::denied;
    case Status::auth:
      return Outcome::unauthorized;
    case Status::noent:
    case Status::notdir:
    case Status::nametoolong:
    case Status::inval:
    case Status::ignored:
      return Outcome::failed;
    default:  // serverfault, io, nospc, dquot, and whatever a server may invent
      return Outcome::wait_limited;
  }
}

}  // namespace qatime::apply
