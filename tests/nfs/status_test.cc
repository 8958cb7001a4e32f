// SPDX-License-Identifier: MIT
#include "nfs/status.h"

#include <set>
#include <string>

#include "catch.h"

namespace qatime::nfs::status_test {

TEST_CASE("Statuses have their names of RFC 1813") {
  CHECK(name(Status::ok) == "ok");
  CHECK(name(static_cast<Status>(2)) == "noent");
  CHECK(name(static_cast<Status>(13)) == "acces");
  CHECK(name(static_cast<Status>(30)) == "rofs");
  CHECK(name(static_cast<Status>(70)) == "stale");
  CHECK(name(static_cast<Status>(10002)) == "not_sync");
  CHECK(name(static_cast<Status>(10008)) == "jukebox");
}

TEST_CASE("Statuses of our own have names that no other has") {
  std::set<std::string> names;
  std::size_t known = 0;
  for (std::uint32_t number = 0; number < 30000; ++number) {
    const std::string label{name(static_cast<Status>(number))};
    if (label == "other") continue;
    ++known;
    names.insert(label);
  }
  CHECK(known == 34);
  CHECK(names.size() == known);
}

TEST_CASE("A status that RFC 1813 does not list is other") { CHECK(name(static_cast<Status>(12345)) == "other"); }

}  // namespace qatime::nfs::status_test
