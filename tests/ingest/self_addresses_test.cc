// SPDX-License-Identifier: MIT
#include "ingest/self_addresses.h"

#include <boost/asio/ip/address.hpp>

#include "catch.h"

namespace qatime::ingest {
namespace {

using boost::asio::ip::make_address;

TEST_CASE("An address has one value however it is spelled") {
  CHECK(parse_address("192.0.2.7") == parse_address("::ffff:192.0.2.7"));
  CHECK(parse_address("::FFFF:C000:207") == parse_address("192.0.2.7"));
  CHECK(parse_address("2001:db8::1") == parse_address("2001:0DB8:0:0:0:0:0:1"));
  CHECK(parse_address("fe80::1%eth0") == parse_address("fe80::1"));
  CHECK(parse_address("192.0.2.7") != parse_address("192.0.2.8"));
}

TEST_CASE("What is no address has no value") {
  for (const char* const text : {"", "host", "1.2.3", "1.2.3.4.5", "1.2.3.4 ", ":::", "256.0.0.1",
                                 "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_address(text));
  }
}

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
}  // namespace qatime::ingest
