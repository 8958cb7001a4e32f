// SPDX-License-Identifier: MIT
#include "ingest/parse/proxy_header.h"

#include <string>
#include <string_view>

#include "catch.h"
#include "ingest/parse/proxy_headers.h"

namespace qatime::ingest::proxy_header_test {
namespace {

using namespace std::string_literals;
using Kind = ProxyExtent::Kind;

// How much of it is a header, in words.
std::string measured(std::string_view stream) {
  const ProxyExtent extent = measure_proxy_header(stream);
  switch (extent.kind) {
    case Kind::none:
      return "none";
    case Kind::undecided:
      return "undecided";
    case Kind::unfinished:
      return "unfinished";
    case Kind::whole:
      return std::to_string(extent.size);
  }
  return {};
}

// Whom a whole header names, in words.
std::string source(const std::string& header) {
  REQUIRE(measured(header) == std::to_string(header.size()));
  const ProxySource read = read_proxy_header(header);
  switch (read.kind) {
    case ProxySource::Kind::invalid:
      return "invalid";
    case ProxySource::Kind::balancer:
      return "balancer";
    case ProxySource::Kind::client:
      return format_address(read.address);
  }
  return {};
}

std::string line(const std::string& text) { return "PROXY " + text + "\r\n"; }

TEST_CASE("A header ends where its version says, whatever is behind it") {
  for (const std::string& header : {line("TCP4 192.0.2.1 192.0.2.2 50000 1514"), line("UNKNOWN"),
                                    binary_header(0x20, 0x00, ""), binary_header(0x21, 0x11, kInetAddresses),
                                    binary_header(0x21, 0x21, kInet6Addresses + std::string(500, '\n'))}) {
    CAPTURE(header);
    for (std::size_t size = 0; size < header.size(); ++size) {
      const std::string part = measured(header.substr(0, size));
      CHECK((part == "undecided" || part == "unfinished"));
    }
    for (const char* const behind : {"", "<14>1 ", "\r\n", "PROXY "}) {
      CHECK(measured(header + behind) == std::to_string(header.size()));
    }
  }
}

TEST_CASE("A mark decides as soon as it can") {
  CHECK(measured("") == "undecided");
  CHECK(measured("PROXY") == "undecided");
  CHECK(measured("PROXY ") == "unfinished");
  CHECK(measured("\r\n\r\n\0\r\nQUIT"s) == "undecided");
  CHECK(measured("\r\n\r\n\0\r\nQUIT\n"s) == "unfinished");
  for (const auto& other : {"<14>1 "s, "P<"s, "PROXY\t"s, "proxy TCP4"s, "Proxy "s, "\n"s, "\r\n\r\n<14>"s,
                            "\r\n\r\n\0\r\nQUIT\r"s, " PROXY "s, "\x16\x03\x01"s, "\0"s}) {
    CAPTURE(other);
    CHECK(measured(other) == "none");
  }
}

TEST_CASE("A header has a bound") {
  const std::string longest = "PROXY UNKNOWN " + std::string(91, 'f');
  CHECK(measured(longest + "\r\n") == "107");
  CHECK(measured(longest + "f") == "unfinished");
  CHECK(measured(longest + "ff") == "none");
  CHECK(measured(longest + "f\r\n") == "none");
  CHECK(measured(binary_header(0x21, 0x11, std::string(kMaxProxyHeader - 16, 'x'))) == std::to_string(kMaxProxyHeader));
  CHECK(measured(binary_header(0x21, 0x11, std::string(kMaxProxyHeader - 15, 'x')).substr(0, 16)) == "none");
}

TEST_CASE("Only version 2 is bytes") {
  CHECK(measured(kBinaryMark + "\x11") == "none");
  CHECK(measured(kBinaryMark + "\x31\x11") == "none");
  CHECK(measured(kBinaryMark + "\x21") == "unfinished");
}

TEST_CASE("A line names a client") {
  CHECK(source(line("TCP4 192.0.2.1 192.0.2.2 50000 1514")) == "192.0.2.1");
  CHECK(source(line("TCP4 255.255.255.255 255.255.255.255 65535 65535")) == "255.255.255.255");
  CHECK(source(line("TCP4 192.0.2.1 192.0.2.2 0 0")) == "192.0.2.1");
  CHECK(source(line("TCP6 2001:DB8::1 ::1 50000 1514")) == "2001:db8::1");
  const std::string longest = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
  CHECK(source(line("TCP6 " + longest + " " + longest + " 65535 65535")) == longest);
  CHECK(source(line("TCP6 ::ffff:192.0.2.1 ::1 50000 1514")) == "192.0.2.1");
}

TEST_CASE("A line without an address is of the balancer") {
  CHECK(source(line("UNKNOWN")) == "balancer");
  CHECK(source(line("UNKNOWN 192.0.2.1 192.0.2.2 50000 1514")) == "balancer");
  CHECK(source(line("UNKNOWN \r anything")) == "balancer");
}

TEST_CASE("A line that is not exactly one is wrong") {
  for (const char* const text : {"",
                                 " ",
                                 "TCP4",
                                 "TCP4 192.0.2.1",
                                 "TCP4 192.0.2.1 192.0.2.2",
                                 "TCP4 192.0.2.1 192.0.2.2 1",
                                 "TCP4 192.0.2.1 192.0.2.2 1 ",
                                 "TCP4 192.0.2.1 192.0.2.2 1 2 ",
                                 "TCP4 192.0.2.1 192.0.2.2 1 2 3",
                                 "TCP4  192.0.2.1 192.0.2.2 1 2",
                                 " TCP4 192.0.2.1 192.0.2.2 1 2",
                                 "TCP4 192.0.2.1\t192.0.2.2 1 2",
                                 "TCP4 192.0.2.1 192.0.2.2 65536 2",
                                 "TCP4 192.0.2.1 192.0.2.2 1 4294967297",
                                 "TCP4 192.0.2.1 192.0.2.2 -1 2",
                                 "TCP4 192.0.2.1 192.0.2.2 +1 2",
                                 "TCP4 192.0.2.1 192.0.2.2 01 2",
                                 "TCP4 192.0.2.1 192.0.2.2 1 00",
                                 "TCP4 192.0.2.1 192.0.2.2 1 0x2",
                                 "TCP4 192.0.2.01 192.0.2.2 1 2",
                                 "TCP4 192.0.2 192.0.2.2 1 2",
                                 "TCP4 192.0.2.256 192.0.2.2 1 2",
                                 "TCP4 192.0.2.1 x 1 2",
                                 "TCP4 2001:db8::1 2001:db8::2 1 2",
                                 "TCP4 192.0.2.1 2001:db8::2 1 2",
                                 "TCP6 192.0.2.1 192.0.2.2 1 2",
                                 "TCP6 fe80::1%eth0 ::1 1 2",
                                 "TCP6 ::1 fe80::1%1 1 2",
                                 "TCP6 1::2::3 ::1 1 2",
                                 "tcp4 192.0.2.1 192.0.2.2 1 2",
                                 "unknown",
                                 "UNKNOWNS",
                                 "UDP4 192.0.2.1 192.0.2.2 1 2",
                                 "TCP4 192.0.2.1 192.0.2.2 1 2\r"}) {
    CAPTURE(text);
    CHECK(source(line(text)) == "invalid");
  }
  CHECK(source(line("TCP4 192.0.2.1"s + '\0' + " 192.0.2.2 1 2")) == "invalid");
  CHECK(source("PROXY TCP4 192.0.2.1 192.0.2.2 50000 1514\n") == "invalid");
  CHECK(source("PROXY UNKNOWN\n") == "invalid");
}

TEST_CASE("Bytes name a client, and extensions are skipped") {
  const std::string extensions = GENERATE(""s, "\x04\0\1x"s, std::string(1000, '\n'));
  CHECK(source(binary_header(0x21, 0x11, kInetAddresses + extensions)) == "192.0.2.1");
  CHECK(source(binary_header(0x21, 0x21, kInet6Addresses + extensions)) == "2001:db8::1");
  CHECK(source(binary_header(0x21, 0x21, kMappedAddresses + extensions)) == "192.0.2.1");
}

TEST_CASE("Bytes without an address of a client are of the balancer") {
  CHECK(source(binary_header(0x20, 0x00, "")) == "balancer");
  CHECK(source(binary_header(0x20, 0x11, kInetAddresses)) == "balancer");
  CHECK(source(binary_header(0x20, 0xFF, "x")) == "balancer");
  CHECK(source(binary_header(0x21, 0x00, "")) == "balancer");
  CHECK(source(binary_header(0x21, 0x00, kInetAddresses)) == "balancer");
  CHECK(source(binary_header(0x21, 0x10, kInetAddresses)) == "balancer");
  CHECK(source(binary_header(0x21, 0x01, "")) == "balancer");
  CHECK(source(binary_header(0x21, 0x31, std::string(216, '/'))) == "balancer");
}

TEST_CASE("Bytes that are not exactly a header are wrong") {
  for (const int command : {0x22, 0x23, 0x2F}) CHECK(source(binary_header(command, 0x11, kInetAddresses)) == "invalid");
  for (const int kind : {0x41, 0xF1, 0x13, 0x1F, 0x03}) {
    CHECK(source(binary_header(0x21, kind, std::string(216, '\1'))) == "invalid");
  }
  CHECK(source(binary_header(0x21, 0x11, kInetAddresses.substr(1))) == "invalid");
  CHECK(source(binary_header(0x21, 0x21, kInet6Addresses.substr(1))) == "invalid");
  CHECK(source(binary_header(0x21, 0x31, std::string(215, '/'))) == "invalid");
  CHECK(source(binary_header(0x21, 0x11, "")) == "invalid");
}

TEST_CASE("A datagram's address is not believed") {
  CHECK(source(binary_header(0x21, 0x12, kInetAddresses)) == "invalid");
  CHECK(source(binary_header(0x21, 0x22, kInet6Addresses)) == "invalid");
  CHECK(source(binary_header(0x21, 0x32, std::string(216, '/'))) == "invalid");
}

}  // namespace
}  // namespace qatime::ingest::proxy_header_test
