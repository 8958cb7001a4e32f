// SPDX-License-Identifier: MIT
#include "apply/outcome.h"

#include <cstdint>
#include <map>

#include "catch.h"

namespace qatime::apply::outcome_test {
namespace {

using nfs::Status;

// All of nfsstat3 (RFC 1813 section 2.6), and ours.
const std::map<Status, Outcome> kOutcomes{
    {Status::ok, Outcome::done},
    {Status::perm, Outcome::denied},
    {Status::noent, Outcome::failed},
    {Status::io, Outcome::wait_limited},
    {Status::nxio, Outcome::wait_limited},
    {Status::acces, Outcome::denied},
    {Status::exist, Outcome::wait_limited},
    {Status::xdev, Outcome::wait_limited},
    {Status::nodev, Outcome::wait_limited},
    {Status::notdir, Outcome::failed},
    {Status::isdir, Outcome::wait_limited},
    {Status::inval, Outcome::failed},
    {Status::fbig, Outcome::wait_limited},
    {Status::nospc, Outcome::wait_limited},
    {Status::rofs, Outcome::denied},
    {Status::mlink, Outcome::wait_limited},
    {Status::nametoolong, Outcome::failed},
    {Status::notempty, Outcome::wait_limited},
    {Status::dquot, Outcome::wait_limited},
    {Status::stale, Outcome::look_again},
    {Status::remote, Outcome::wait_limited},
    {Status::badhandle, Outcome::look_again},
    {Status::not_sync, Outcome::look_again},
    {Status::bad_cookie, Outcome::wait_limited},
    {Status::notsupp, Outcome::wait_limited},
    {Status::toosmall, Outcome::wait_limited},
    {Status::serverfault, Outcome::wait_limited},
    {Status::badtype, Outcome::wait_limited},
    {Status::jukebox, Outcome::wait},
    {Status::timeout, Outcome::wait},
    {Status::lost, Outcome::wait},
    {Status::auth, Outcome::unauthorized},
    {Status::garbage, Outcome::wait_limited},
    {Status::ignored, Outcome::failed},
    {Status::no_program, Outcome::wait_limited},
    {Status::no_auth_sys, Outcome::wait_limited},
};

TEST_CASE("EveryStatusHasItsOutcome", "[apply]") {
  for (std::uint32_t number = 0; number < 30'000; ++number) {
    const auto status = static_cast<Status>(number);
    const auto known = kOutcomes.find(status);
    CAPTURE(number);
    CHECK((nfs::name(status) == "other") == (known == kOutcomes.end()));
    CHECK(classify(status) == (known == kOutcomes.end() ? Outcome::wait_limited : known->second));
  }
}

}  // namespace
}  // namespace qatime::apply::outcome_test
