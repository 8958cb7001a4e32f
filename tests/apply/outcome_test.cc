// SPDX-License-Identifier: MIT
#include "apply/outcome.h"

#include "catch.h"

namespace qatime::apply {
namespace {

using nfs::Status;

TEST_CASE("EveryStatusHasItsOutcome", "[apply]") {
  CHECK(classify(Status::ok) == Outcome::done);
  for (const auto status : {Status::stale, Status::badhandle, Status::not_sync}) {
    CHECK(classify(status) == Outcome::look_again);
  }
  for (const auto status : {Status::jukebox, Status::timeout, Status::lost}) CHECK(classify(status) == Outcome::wait);
  for (const auto status : {Status::serverfault, Status::io, Status::nospc, Status::dquot, Status::nxio,
                            Status::notsupp, Status::garbage, static_cast<Status>(4711)}) {
    CHECK(classify(status) == Outcome::wait_limited);
  }
  for (const auto status : {Status::acces, Status::perm, Status::rofs}) CHECK(classify(status) == Outcome::denied);
  CHECK(classify(Status::auth) == Outcome::unauthorized);
  for (const auto status : {Status::noent, Status::notdir, Status::nametoolong, Status::inval}) {
    CHECK(classify(status) == Outcome::failed);
  }
}

}  // namespace
}  // namespace qatime::apply
