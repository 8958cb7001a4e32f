// SPDX-License-Identifier: MIT
#include "telemetry/alerts.h"

#include <string>

#include "catch.h"

namespace qatime::bulletin_test {

TEST_CASE("A trouble stays one while its text changes, and goes when it is solved") {
  Bulletin bulletin;
  bulletin.raise("mount", "/a", "noent");
  const Time since = bulletin.troubles().at(0).since;
  bulletin.raise("mount", "/b", "acces");
  bulletin.raise("mount", "/a", "perm", Bulletin::Effect::unready);
  REQUIRE(bulletin.troubles().size() == 2);
  CHECK(bulletin.troubles()[0].text == "perm");
  CHECK(bulletin.troubles()[0].since == since);
  CHECK(bulletin.troubles()[0].effect == Bulletin::Effect::unready);
  bulletin.solve("mount", "/a");
  bulletin.solve("denied", "/b");
  REQUIRE(bulletin.troubles().size() == 1);
  CHECK(bulletin.troubles()[0].subject == "/b");
}

TEST_CASE("The latest failures are kept, the latest first") {
  Bulletin bulletin;
  bulletin.fail("/a", "noent");
  bulletin.fail("/b", "inval");
  CHECK(bulletin.failures().at(0).subject == "/b");
  CHECK(bulletin.failures().at(1).reason == "noent");
  for (std::size_t i = 0; i < Bulletin::kFailures + 3; ++i) bulletin.fail(std::to_string(i), "noent");
  const auto failures = bulletin.failures();
  REQUIRE(failures.size() == Bulletin::kFailures);
  CHECK(failures.front().subject == std::to_string(Bulletin::kFailures + 2));
  CHECK(failures.back().subject == "3");
}

TEST_CASE("Of a long subject the beginning is kept") {
  Bulletin bulletin;
  bulletin.fail(std::string(5000, 'x'), "malformed");
  CHECK(bulletin.failures().at(0).subject.size() == Bulletin::kLongest);
}

}  // namespace qatime::bulletin_test
