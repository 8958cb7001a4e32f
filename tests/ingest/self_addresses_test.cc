// SPDX-License-Identifier: MIT
#include "ingest/self_addresses.h"

#include <boost/asio/ip/address.hpp>

#include "catch.h"

namespace qatime::ingest::self_addresses_test {
namespace {

using boost::asio::ip::make_address;

TEST_CASE("Each set of addresses replaces the one before") {
  SelfAddresses self;
  CHECK_FALSE(self.contains(*parse_address("192.0.2.7")));
  self.set({make_address("192.0.2.7"), make_address("2001:db8::1")});
  CHECK(self.contains(*parse_address("::ffff:192.0.2.7")));
  CHECK(self.contains(*parse_address("2001:db8::1")));
  self.set({make_address("::ffff:192.0.2.8")});
  CHECK(self.contains(*parse_address("192.0.2.8")));
  CHECK_FALSE(self.contains(*parse_address("192.0.2.7")));
}

}  // namespace
}  // namespace qatime::ingest::self_addresses_test
