// SPDX-License-Identifier: MIT
#include "telemetry/alerts.h"

#include <string>

#include "catch.h"

namespace qatime::alerts_test {

TEST_CASE("A trouble stays one while its text changes, and goes when it is solved") {
  Alerts alerts;
  alerts.raise("mount", "/a", "noent");
  const Time since = alerts.active().at(0).since;
  alerts.raise("mount", "/b", "acces");
  alerts.raise("mount", "/a", "perm", Alerts::Effect::unready);
  REQUIRE(alerts.active().size() == 2);
  CHECK(alerts.active()[0].text == "perm");
  CHECK(alerts.active()[0].since == since);
  CHECK(alerts.active()[0].effect == Alerts::Effect::unready);
  alerts.resolve("mount", "/a");
  alerts.resolve("denied", "/b");
  REQUIRE(alerts.active().size() == 1);
  CHECK(alerts.active()[0].subject == "/b");
}

TEST_CASE("The latest failures are kept, the latest first") {
  Alerts alerts;
  alerts.fail("/a", "noent");
  alerts.fail("/b", "inval");
  CHECK(alerts.failures().at(0).subject == "/b");
  CHECK(alerts.failures().at(1).reason == "noent");
  for (std::size_t i = 0; i < Alerts::kFailures + 3; ++i) alerts.fail(std::to_string(i), "noent");
  const auto failures = alerts.failures();
  REQUIRE(failures.size() == Alerts::kFailures);
  CHECK(failures.front().subject == std::to_string(Alerts::kFailures + 2));
  CHECK(failures.back().subject == "3");
}

TEST_CASE("Of a long subject the beginning is kept") {
  Alerts alerts;
  alerts.fail(std::string(5000, 'x'), "malformed");
  CHECK(alerts.failures().at(0).subject.size() == Alerts::kLongest);
}

}  // namespace qatime::alerts_test
