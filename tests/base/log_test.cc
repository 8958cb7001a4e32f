// SPDX-License-Identifier: MIT
#include "base/log.h"

#include <array>
#include <chrono>
#include <random>
#include <sstream>
#include <string>
#include <string_view>

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <unistd.h>

#include "catch.h"
#include "log_lines.h"

namespace qatime::log_test {
namespace {

constexpr log::Logger kLog{"test"};

// The one line that `text` is.
std::string_view line_of(std::string_view text) {
  REQUIRE(text.find('\n') == text.size() - 1);
  return text.substr(0, text.size() - 1);
}

// Throws if it is no JSON, or no valid UTF-8.
boost::json::object object_of(const std::string& text) {
  const std::string_view line = line_of(text);
  return boost::json::parse({line.data(), line.size()}).as_object();
}

std::string text_of(const boost::json::object& object, const char* key) {
  return std::string{object.at(key).as_string()};
}

}  // namespace

using Catch::Matches;

TEST_CASE("No name can forge a line or a terminal sequence") {
  CHECK(log::escaped("plain, with space") == "plain, with space");
  CHECK(log::escaped("a\nb\r\x1b[31m\x7f") == "a\\x0ab\\x0d\\x1b[31m\\x7f");
  CHECK(log::escaped("say \"a\\b\"") == "say \\x22a\\x5cb\\x22");
  CHECK(log::escaped("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80") ==
        "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80");
  CHECK(log::escaped("\xc2\x9b") == "\\xc2\\x9b");
  CHECK(log::escaped("\xc2\xa0") == "\xc2\xa0");
}

TEST_CASE("No name can turn the direction of a line, break it or hide in it in Unicode") {
  for (const std::string name : {"\u00AD", "\u0600", "\u061C", "\u070F",     "\u180E",     "\u200B",    "\u200E",
                                 "\u200F", "\u2028", "\u2029", "\u202A",     "\u202E",     "\u2060",    "\u2066",
                                 "\u2069", "\uFEFF", "\uFFF9", "\U0001D173", "\U000E0001", "\U000E007F"}) {
    std::string wanted;
    for (const char byte : name) wanted += fmt::format("\\x{:02x}", static_cast<unsigned char>(byte));
    CHECK(log::escaped(name) == wanted);
    CHECK(log::printable(name) == wanted);
  }
  CHECK(log::escaped("\xf3\xa0\x81\x81") == "\\xf3\\xa0\\x81\\x81");
  CHECK(log::escaped("\xe2\x80\xa7 \xe2\x80\xaf \xe2\x81\xb0") == "\xe2\x80\xa7 \xe2\x80\xaf \xe2\x81\xb0");
}

TEST_CASE("Bytes that only look like UTF-8 are written as bytes") {
  for (const char* const bytes : {"\x80", "\xc0\xaf", "\xc3", "\xc3(", "\xe0\x80\xaf", "\xe2\x82", "\xed\xa0\x80",
                                  "\xf0\x80\x80\xaf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff"}) {
    std::string wanted;
    for (const char byte : std::string_view{bytes}) {
      wanted += byte == '(' ? "(" : fmt::format("\\x{:02x}", static_cast<unsigned char>(byte));
    }
    CHECK(log::escaped(bytes) == wanted);
  }
}

TEST_CASE("A line keeps its own quotes and its length") {
  CHECK(log::printable("export \"/a\" \\x0a\n") == "export \"/a\" \\x0a\\x0a");
  CHECK(log::printable(std::string(5000, 'x')).size() == 5000);
}

TEST_CASE("A line of text has time, level, stage and message") {
  const std::string line = said(log::Format::text, [] {
    kLog.warning("{}: {} of {}", log::field("path", "/a\n\"b\""), log::field("done", 3), std::string{"7\x1b[31m\n8"});
  });
  CHECK_THAT(line, Matches(R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z warning test: )"
                           R"(/a\\x0a\\x22b\\x22: 3 of 7\\x1b\[31m\\x0a8)"
                           "\n"));
}

TEST_CASE("A line of JSON has its fields besides") {
  const auto object = object_of(said(log::Format::json, [] {
    kLog.error("\"{}\": {} of {}, {}", log::field("path", "/a\n\"b\"\\\xff"), log::field("done", std::size_t{3}),
               log::field("rest", -4), "\xe2\x80\xae\xc0\t");
  }));
  CHECK(object.size() == 7);
  CHECK_THAT(text_of(object, "time"), Matches(R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z)"));
  CHECK(text_of(object, "level") == "error");
  CHECK(text_of(object, "stage") == "test");
  CHECK(text_of(object, "path") == R"(/a\x0a\x22b\x22\x5c\xff)");
  CHECK(object.at("done") == 3);
  CHECK(object.at("rest") == -4);
  CHECK(text_of(object, "message") == R"("/a\x0a\x22b\x22\x5c\xff": 3 of -4, \xe2\x80\xae\xc0\x09)");
}

TEST_CASE("Whatever the bytes, a line is one line, and as JSON valid") {
  std::mt19937 random{7};  // NOLINT: the same each time
  std::uniform_int_distribution<int> byte{0, 255};
  std::uniform_int_distribution<std::size_t> length{0, 40};
  for (int i = 0; i < 300; ++i) {
    std::string bytes(length(random), ' ');
    for (char& one : bytes) one = static_cast<char>(i < 100 ? byte(random) | 0x80 : byte(random));
    CAPTURE(i);
    const auto say = [&] { kLog.info("{} {}", log::field("path", bytes), bytes); };
    const auto object = object_of(said(log::Format::json, say));
    CHECK(text_of(object, "path") == log::escaped(bytes));
    CHECK(text_of(object, "message") == log::escaped(bytes) + " " + log::printable(bytes));
    CHECK(line_of(said(log::Format::text, say)).ends_with(log::escaped(bytes) + " " + log::printable(bytes)));
  }
}

TEST_CASE("A line of a repeated cause says for how many it stands") {
  log::Throttle cause;
  const auto last = [&](std::uint64_t times) {
    return said(log::Format::json, [&] { kLog.repeated(log::Level::warning, cause, times, "lost"); });
  };
  CHECK(text_of(object_of(last(1)), "message") == "lost");
  CHECK(object_of(last(1)).at("count") == 1);
  CHECK(text_of(object_of(last(12)), "message") == "lost (12 times)");
  CHECK(object_of(last(12)).at("count") == 12);
}

TEST_CASE("Occurrences of a repeated cause are told when their interval ends, though none comes any more") {
  log::Throttle cause;
  const auto now = std::chrono::steady_clock::now();
  const std::string lines = said(log::Format::text, [&] {
    const std::string gone = "first";
    CHECK(kLog.warning(cause, "{}", log::field("path", gone)));
    CHECK_FALSE(kLog.warning(cause, "{}", log::field("path", "second")));
    CHECK_FALSE(kLog.warning(cause, "{}", log::field("path", "third")));
    log::tell_repeated(now);
  });
  CHECK_THAT(lines, Matches(".*Z warning test: first\n"));
  const auto object = object_of(said(log::Format::json, [&] {
    log::tell_repeated(now + 2 * log::Throttle::kInterval);
    log::tell_repeated(now + 4 * log::Throttle::kInterval);
  }));
  CHECK(text_of(object, "message") == "first (2 times more)");
  CHECK(text_of(object, "path") == "first");
  CHECK(object.at("count") == 2);
}

TEST_CASE("In the background all lines are written, in order") {
  const std::string lines = said(log::Format::text, [] {
    const log::Background background;
    for (int i = 0; i < 1000; ++i) kLog.info("{}", i);
  });
  std::istringstream stream{lines};
  int count = 0;
  for (std::string line; std::getline(stream, line); ++count) CHECK(line.ends_with(fmt::format(" test: {}", count)));
  CHECK(count == 1000);
}

TEST_CASE("Nobody waits for a reader of standard error that hangs, and the lines that are lost are counted") {
  std::array<int, 2> ends{};
  REQUIRE(pipe(ends.data()) == 0);
  const int before = dup(STDERR_FILENO);
  dup2(ends[1], STDERR_FILENO);
  constexpr std::size_t kMany = 4 * log::Background::kLines;
  {
    const log::Background background;
    for (std::size_t i = 0; i < kMany; ++i) kLog.info("{:0100}", i);
    log::Background::flush();  // gives up
  }
  std::string text;
  for (std::array<char, 4096> some{}; text.find(fmt::format("{:0100}\n", kMany - 1)) == text.npos;) {
    const ssize_t size = read(ends[0], some.data(), some.size());
    REQUIRE(size > 0);
    text.append(some.data(), static_cast<std::size_t>(size));
  }
  dup2(before, STDERR_FILENO);
  for (const int descriptor : {before, ends[0], ends[1]}) close(descriptor);
  std::size_t whole = 0;
  std::size_t lost = 0;
  std::istringstream stream{text};
  for (std::string line; std::getline(stream, line);) {
    const std::size_t words = line.find(" lines are lost, because");
    if (words == line.npos) {
      ++whole;
    } else {
      lost += std::stoul(line.substr(line.find("log: ") + 5));
    }
  }
  CHECK(lost > 0);
  CHECK(whole + lost == kMany);
}

TEST_CASE("What is below the level is not written") {
  log::set_level(log::Level::warning);
  const std::string lines = said(log::Format::json, [] {
    kLog.info("no");
    kLog.warning("yes");
  });
  log::set_level(log::Level::info);
  CHECK(text_of(object_of(lines), "message") == "yes");
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
  CHECK(log::parse_format("json") == log::Format::json);
  CHECK_FALSE(log::parse_format("JSON"));
}

}  // namespace qatime::log_test
