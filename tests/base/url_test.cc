// SPDX-License-Identifier: MIT
#include "base/url.h"

#include <string>
#include <utility>

#include <fmt/core.h>

#include "catch.h"

namespace qatime::url_test {
namespace {

std::string shown(const HostPort& named) {
  return fmt::format("{} {}", named.host, named.port ? std::to_string(*named.port) : "-");
}

}  // namespace

TEST_CASE("A host is a name or an address, with a port or without") {
  for (const auto& [text, wanted] : {
           std::pair{"node", "node -"},
           std::pair{"node.my_corp.example:0", "node.my_corp.example 0"},
           std::pair{"node:65535", "node 65535"},
           std::pair{"192.0.2.7", "192.0.2.7 -"},
           std::pair{"192.0.2.7:80", "192.0.2.7 80"},
           std::pair{"2001:db8::1", "2001:db8::1 -"},
           std::pair{"[2001:db8::1]", "2001:db8::1 -"},
           std::pair{"[::ffff:192.0.2.7]:80", "::ffff:192.0.2.7 80"},
           std::pair{"köln:80", "köln 80"},
       }) {
    CAPTURE(text);
    const auto parsed = parse_host_port(text);
    REQUIRE(parsed);
    CHECK(shown(*parsed) == wanted);
  }
}

TEST_CASE("What is no host with a port is nothing") {
  for (const std::string text : {"",           ":80",          "node:",
                                 "node:65536", "node:-1",      "node:+1",
                                 "node: 1",    "node:1 ",      "node:80:80",
                                 "a b",        "a/b",          "u@a",
                                 "[node]:80",  "[::1",         "[::1]80",
                                 "[::1]:",     "::1]",         "[]:80",
                                 "[[::1]]:80", "a\tb",         "a\nb",
                                 "a\x7Fz",     "a?b",          "a#b",
                                 "a]b",        "fe80::1%eth0", "[fe80::1%eth0]:80",
                                 "[192.0.2.7"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_host_port(text));
  }
  CHECK_FALSE(parse_host_port({"192.0.2.7\0x", 11}));
  CHECK_FALSE(parse_host_port({"[::1\0]:80", 9}));
  CHECK_FALSE(parse_host_port({"node\0x:80", 9}));
}

TEST_CASE("What is written is read as the same") {
  for (const char* const host : {"node", "192.0.2.7", "2001:db8::1"}) {
    const auto parsed = parse_host_port(format_host_port(host, 2049));
    REQUIRE(parsed);
    CHECK(shown(*parsed) == fmt::format("{} 2049", host));
  }
  CHECK(format_host_port("::1", 80) == "[::1]:80");
}

TEST_CASE("A URL has a scheme, a server and perhaps a path") {
  for (const auto& [text, wanted] : {
           std::pair{"tcp://127.0.0.1:1514", "tcp|127.0.0.1 1514|"},
           std::pair{"redis://node", "redis|node -|"},
           std::pair{"redis://[::1]:6379/3", "redis|::1 6379|/3"},
           std::pair{"http://node/a/b:c/", "http|node -|/a/b:c/"},
       }) {
    CAPTURE(text);
    const auto url = parse_url(text);
    REQUIRE(url);
    CHECK(fmt::format("{}|{}|{}", url->scheme, shown(url->server), url->path) == wanted);
  }
}

TEST_CASE("What is no URL is nothing") {
  for (const char* const text : {"", "node:80", "http:/node", "http://", "http:///a", "http://u:p@node",
                                 "http://node?a", "http://node/a#b", "http://node/a b", "http://node/\r\nX: y",
                                 "http://node:65616", "redis://::1", "redis://2001:db8::1:6379", "redis://::1/3"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_url(text));
  }
}

}  // namespace qatime::url_test
