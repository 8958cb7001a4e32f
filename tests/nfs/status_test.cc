// SPDX-License-Identifier: MIT
#include "nfs/status.h"

#include <set>
#include <string>

#include <unistd.h>

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
  CHECK(known == 36);
  CHECK(names.size() == known);
}

TEST_CASE("A status that RFC 1813 does not list is other") { CHECK(name(static_cast<Status>(12345)) == "other"); }

TEST_CASE("There is advice about every failure of an export, and one for what has none of its own") {
  for (const Purpose purpose : {Purpose::greet, Purpose::mount, Purpose::map, Purpose::look, Purpose::set}) {
    for (std::uint32_t number = 1; number < 30000; ++number) {
      CHECK_FALSE(advice(purpose, static_cast<Status>(number)).empty());
    }
    CHECK(advice(purpose, Status::serverfault) == "see the server's log");
  }
}

TEST_CASE("A failure of one object is remarkable if the export or the server is to blame") {
  CHECK(advice(Purpose::set_one, Status::noent).empty());
  CHECK_THAT(advice(Purpose::set_one, Status::perm), Catch::Contains("others"));
  CHECK_THAT(advice(Purpose::set_one, Status::ignored), Catch::Contains("leaves the atime"));
}

struct Refusal {
  Purpose purpose;
  Status status;
};

TEST_CASE("Advice names ports above 1023 to all users but root") {
  const auto refusal = GENERATE(values<Refusal>({{Purpose::mount, Status::acces},
                                                 {Purpose::mount, Status::auth},
                                                 {Purpose::look, Status::perm},
                                                 {Purpose::look, Status::auth},
                                                 {Purpose::set, Status::perm},
                                                 {Purpose::set, Status::auth}}));
  const auto names_port = [&] {
    return advice(refusal.purpose, refusal.status).find("ports above 1023") != std::string::npos;
  };
  const uid_t user = ::geteuid();
  CHECK(names_port() == (user != 0));
  if (user != 0) return;
  REQUIRE(::seteuid(65534) == 0);
  const bool named = names_port();
  REQUIRE(::seteuid(user) == 0);
  CHECK(named);
}

}  // namespace qatime::nfs::status_test
