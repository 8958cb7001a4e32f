// SPDX-License-Identifier: MIT
#include "base/address.h"

#include <string_view>

#include <arpa/inet.h>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "catch.h"

namespace qatime::address_test {
namespace {

bool is_in(std::string_view address, std::string_view network) {
  CAPTURE(address, network);
  const auto of = parse_network(network);
  REQUIRE(of);
  return contains(*of, *parse_address(address));
}

}  // namespace

TEST_CASE("An address has one value however it is spelled") {
  CHECK(parse_address("192.0.2.7") == parse_address("::ffff:192.0.2.7"));
  CHECK(parse_address("::FFFF:C000:207") == parse_address("192.0.2.7"));
  CHECK(parse_address("2001:db8::1") == parse_address("2001:0DB8:0:0:0:0:0:1"));
  CHECK(parse_address("fe80::1%eth0") == parse_address("fe80::1"));
  CHECK(parse_address("192.0.2.7") != parse_address("192.0.2.8"));
  CHECK(parse_address("0000:0000:0000:0000:0000:ffff:255.255.255.255") == parse_address("255.255.255.255"));
}

TEST_CASE("An address is written as people do") {
  for (const char* const text : {"192.0.2.7", "2001:db8::1", "::", "::1"}) {
    CHECK(format_address(*parse_address(text)) == text);
  }
  CHECK(format_address(*parse_address("::ffff:192.0.2.7")) == "192.0.2.7");
}

TEST_CASE("What is no address has no value") {
  CHECK_FALSE(parse_address({"192.0.2.7\0x", 11}));
  CHECK_FALSE(parse_address({"2001:db8::1\0", 12}));
  for (const char* const text : {"", "host", "192.0.2.7%eth0", "1.2.3", "1.2.3.4.5", "1.2.3.4 ", ":::", "256.0.0.1",
                                 "1111:2222:3333:4444:5555:6666:7777:8888:9999:a",
                                 "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_address(text));
  }
}

TEST_CASE("A numeric address has no zone, no port and nothing behind it") {
  for (const char* const text : {"192.0.2.7", "2001:db8::1", "::ffff:192.0.2.7"}) CHECK(is_address(text));
  for (const char* const text : {"", "fe80::1%eth0", "192.0.2.7:80", "[::1]", "host"}) CHECK_FALSE(is_address(text));
  CHECK_FALSE(is_address({"192.0.2.7\0x", 11}));
}

TEST_CASE("A network has the addresses that begin like it") {
  CHECK(is_in("192.0.2.0", "192.0.2.0/24"));
  CHECK(is_in("192.0.2.255", "192.0.2.0/24"));
  CHECK_FALSE(is_in("192.0.3.0", "192.0.2.0/24"));
  CHECK(is_in("10.127.255.255", "10.0.0.0/9"));
  CHECK_FALSE(is_in("10.128.0.0", "10.0.0.0/9"));
  CHECK(is_in("192.0.2.7", "192.0.2.99/24"));
  CHECK(is_in("2001:db8:ffff::1", "2001:db8::/32"));
  CHECK_FALSE(is_in("2001:db9::1", "2001:db8::/32"));
  CHECK(is_in("2001:db9::1", "2001:db8::/31"));
}

TEST_CASE("A network without length is one address") {
  CHECK(is_in("192.0.2.7", "192.0.2.7"));
  CHECK_FALSE(is_in("192.0.2.6", "192.0.2.7"));
  CHECK(is_in("2001:db8::1", "2001:db8::1/128"));
  CHECK_FALSE(is_in("2001:db8::2", "2001:db8::1"));
}

TEST_CASE("IPv4 addresses are in IPv4 networks however they are spelled") {
  CHECK(is_in("::ffff:192.0.2.7", "192.0.2.0/24"));
  CHECK(is_in("192.0.2.7", "::ffff:192.0.2.0/120"));
  CHECK(is_in("192.0.2.7", "0.0.0.0/0"));
  CHECK_FALSE(is_in("192.0.3.7", "::ffff:192.0.2.0/120"));
  CHECK(is_in("192.0.2.7", "::ffff:0:0/96"));
}

TEST_CASE("IPv4 addresses are in no network of IPv6, nor the other way round") {
  for (const char* const network : {"::/0", "::/8", "::/80", "::ffff:192.0.2.7/95"}) {
    CHECK_FALSE(is_in("192.0.2.7", network));
    CHECK_FALSE(is_in("::ffff:192.0.2.7", network));
    CHECK(is_in("::1", network) == (network != std::string_view{"::ffff:192.0.2.7/95"}));
  }
  CHECK(is_in("::fffe:192.0.2.7", "::ffff:192.0.2.7/95"));
  CHECK(is_in("2001:db8::1", "::/0"));
  CHECK(is_in("::192.0.2.7", "::/0"));
  for (const char* const network : {"0.0.0.0/0", "::ffff:0:0/96"}) {
    CHECK_FALSE(is_in("2001:db8::1", network));
    CHECK_FALSE(is_in("::1", network));
    CHECK_FALSE(is_in("::192.0.2.7", network));
  }
}

TEST_CASE("What is no network has no value") {
  for (const char* const text : {"", "/", "/8", "host/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8 ",
                                 "10.0.0/8", "2001:db8::/129", "fe80::1%eth0", "fe80::%eth0/10", "10.0.0.0/0x8"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_network(text));
  }
}

TEST_CASE("A socket's address is that of its family") {
  sockaddr_storage storage{};
  auto& socket = reinterpret_cast<sockaddr&>(storage);
  CHECK(address_of(socket) == Address{});
  auto& v4 = reinterpret_cast<sockaddr_in&>(storage);
  v4.sin_family = AF_INET;
  inet_pton(AF_INET, "192.0.2.7", &v4.sin_addr);
  CHECK(address_of(socket) == parse_address("192.0.2.7"));
  auto& v6 = reinterpret_cast<sockaddr_in6&>(storage);
  v6.sin6_family = AF_INET6;
  inet_pton(AF_INET6, "2001:db8::1", &v6.sin6_addr);
  CHECK(address_of(socket) == parse_address("2001:db8::1"));
}

TEST_CASE("The source address towards a peer is that of a connection to it") {
  using tcp = boost::asio::ip::tcp;
  const auto address = boost::asio::ip::make_address(GENERATE("127.0.0.1", "127.0.0.2", "::1"));
  boost::asio::io_context io;
  tcp::acceptor server{io};
  boost::system::error_code error;
  server.open(address.is_v4() ? tcp::v4() : tcp::v6(), error);
  if (!error) server.bind({address, 0}, error);
  if (error) return;  // this machine has no IPv6
  server.listen();
  const tcp::endpoint peer = server.local_endpoint();
  tcp::socket connection{io};
  connection.connect(peer);
  const auto source = source_towards(*peer.data(), peer.size());
  REQUIRE(source);
  CHECK(source == local_address(connection.native_handle()));
  const tcp::endpoint unknown_port{address, 0};
  CHECK(source == source_towards(*unknown_port.data(), unknown_port.size()));
}

TEST_CASE("Where no route leads there is no source address") {
  const boost::asio::ip::tcp::endpoint broadcast{boost::asio::ip::make_address("255.255.255.255"), 2049};
  CHECK_FALSE(source_towards(*broadcast.data(), broadcast.size()));  // EACCES
}

TEST_CASE("To look for a route leaves no socket behind") {
  const boost::asio::ip::tcp::endpoint here{boost::asio::ip::make_address("127.0.0.1"), 2049};
  const auto next_descriptor = [] {
    const int descriptor = ::dup(STDIN_FILENO);
    ::close(descriptor);
    return descriptor;
  };
  const int before = next_descriptor();
  REQUIRE(before >= 0);
  CHECK(source_towards(*here.data(), here.size()));
  CHECK(next_descriptor() == before);
}

TEST_CASE("What is no socket has no address") { CHECK_FALSE(local_address(-1)); }

}  // namespace qatime::address_test
