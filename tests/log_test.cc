// SPDX-License-Identifier: MIT
#include "log.h"

#include "catch.h"

using namespace qatime;

TEST_CASE("No name can forge a line or a terminal sequence") {
  CHECK(log::escaped("plain, with space") == "plain, with space");
  CHECK(log::escaped("a\nb\r\x1b[31m\x7f") == "a\\x0ab\\x0d\\x1b[31m\\x7f");
  CHECK(log::escaped("say \"a\\b\"") == "say \\x22a\\x5cb\\x22");
  CHECK(log::escaped("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80") ==
        "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80");
  CHECK(log::escaped("\xc2\x9b") == "\\xc2\\x9b");
}

TEST_CASE("What is not UTF-8 is shown in hexadecimal") {
  CHECK(log::escaped("gr\xfc") == "gr\\xfc");
  CHECK(log::escaped("\xc3") == "\\xc3");
  CHECK(log::escaped("\xc0\xaf") == "\\xc0\\xaf");
  CHECK(log::escaped("\xe0\x80\xaf") == "\\xe0\\x80\\xaf");
  CHECK(log::escaped("\xed\xa0\x80") == "\\xed\\xa0\\x80");
  CHECK(log::escaped("\xf5\x80\x80\x80") == "\\xf5\\x80\\x80\\x80");
}

TEST_CASE("A long name is cut") { CHECK(log::escaped(std::string(5000, 'x')).size() == 1024 + 3); }

TEST_CASE("A repeated cause is let through once and counted after that") {
  log::Throttle throttle;
  CHECK(throttle.admit() == 1U);
  CHECK_FALSE(throttle.admit());
  CHECK_FALSE(throttle.admit());
}

TEST_CASE("Levels have the names that the configuration takes") {
  CHECK(log::parse_level("warning") == log::Level::warning);
  CHECK_FALSE(log::parse_level("warn"));
  CHECK_FALSE(log::parse_level(""));
}
