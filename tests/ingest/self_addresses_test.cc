// SPDX-License-Identifier: MIT
#include "ingest/self_addresses.h"

#include <string>
#include <vector>

#include <fmt/core.h>

#include "catch.h"

namespace qatime::ingest::self_addresses_test {
namespace {

using namespace std::chrono_literals;

const Time kNow = *parse_rfc3339("2026-01-27T12:00:00Z");
const Time kFarAhead = kNow + 24h * 365;

Address address(std::string_view text) { return *parse_address(text); }

TEST_CASE("Configured addresses are ours at any time, until others replace them") {
  SelfAddresses self{std::vector<std::string>{"192.0.2.7", "2001:db8::1", "no address"}};
  CHECK(self.contains(address("::ffff:192.0.2.7"), kFarAhead));
  CHECK(self.contains(address("2001:db8::1"), Time{}));
  CHECK_FALSE(self.contains(address("192.0.2.8"), kNow));
  CHECK(self.known(kNow).empty());
  self.configure(std::vector<std::string>{"192.0.2.8"});
  CHECK(self.contains(address("192.0.2.8"), kNow));
  CHECK_FALSE(self.contains(address("192.0.2.7"), kNow));
}

TEST_CASE("Current addresses are ours at any time") {
  SelfAddresses self;
  CHECK_FALSE(self.contains(address("192.0.2.7"), kNow));
  self.set_current({address("192.0.2.7"), address("2001:db8::1")}, kNow);
  CHECK(self.contains(address("192.0.2.7"), kFarAhead));
  CHECK(self.contains(address("2001:db8::1"), Time{}));
}

TEST_CASE("An address that left is ours for records of its time, and another's for later ones") {
  SelfAddresses self;
  self.set_current({address("192.0.2.7")}, kNow - 48h);
  self.set_current({address("192.0.2.8")}, kNow);
  CHECK(self.contains(address("192.0.2.7"), kNow - 24h));
  CHECK(self.contains(address("192.0.2.7"), kNow + SelfAddresses::kGrace));
  CHECK_FALSE(self.contains(address("192.0.2.7"), kNow + SelfAddresses::kGrace + 1ns));
  SECTION("unless it comes back") {
    self.set_current({address("192.0.2.7")}, kNow + 2h);
    CHECK(self.contains(address("192.0.2.7"), kFarAhead));
    self.set_current({}, kNow + 3h);
    CHECK(self.contains(address("192.0.2.7"), kNow + 4h));
    CHECK_FALSE(self.contains(address("192.0.2.7"), kNow + 5h));
  }
}

TEST_CASE("A former address keeps the latest of its times") {
  SelfAddresses self;
  self.add_former(std::vector<OwnAddress>{{address("192.0.2.7"), kNow}, {address("192.0.2.7"), kNow - 24h}}, kNow);
  CHECK(self.contains(address("192.0.2.7"), kNow));
  CHECK(self.known(kNow + 1h) == std::vector<OwnAddress>{{address("192.0.2.7"), kNow}});
}

TEST_CASE("A former address of a clock that was ahead is another machine's an hour from now") {
  SelfAddresses self;
  self.add_former(std::vector<OwnAddress>{{address("192.0.2.7"), kFarAhead}}, kNow);
  CHECK(self.known(kNow) == std::vector<OwnAddress>{{address("192.0.2.7"), kNow}});
}

TEST_CASE("What is known are the current addresses, as of now, and the former ones") {
  SelfAddresses self;
  self.add_former(std::vector<OwnAddress>{{address("192.0.2.7"), kNow - 24h}, {address("192.0.2.8"), kNow - 24h}},
                  kNow);
  self.set_current({address("192.0.2.7")}, kNow - 1h);
  CHECK(self.known(kNow) == std::vector<OwnAddress>{{address("192.0.2.7"), kNow}, {address("192.0.2.8"), kNow - 24h}});
}

TEST_CASE("Of many former addresses those that were ours most recently are kept") {
  SelfAddresses self;
  const auto nth = [](std::size_t n) { return address(fmt::format("192.0.2.{}", n)); };
  self.add_former(std::vector<OwnAddress>{{nth(0), kNow + 1h}}, kFarAhead);
  for (std::size_t n = 1; n <= SelfAddresses::kMostFormer; ++n) {
    self.add_former(std::vector<OwnAddress>{{nth(n), kNow + n * 1s}}, kFarAhead);
  }
  CHECK(self.known(kNow).size() == SelfAddresses::kMostFormer);
  CHECK(self.contains(nth(0), kNow));
  CHECK_FALSE(self.contains(nth(1), kNow));
  CHECK(self.contains(nth(2), kNow));
}

}  // namespace
}  // namespace qatime::ingest::self_addresses_test
