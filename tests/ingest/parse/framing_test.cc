// SPDX-License-Identifier: MIT
#include "ingest/parse/framing.h"

#include <algorithm>
#include <cstring>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "catch.h"
#include "ingest/parse/proxy_headers.h"

namespace qatime::ingest::framing_test {
namespace {

using namespace std::string_literals;
using Outcomes = std::vector<std::string>;

constexpr std::size_t kMax = 200;  // bytes of a message

std::string outcome(const Framer::Frame& frame) {
  switch (frame.kind) {
    case Framer::Kind::message:
      return std::string{frame.bytes};
    case Framer::Kind::too_long:
      return "[too long]";
    case Framer::Kind::bad_count:
      return "[bad count]";
    case Framer::Kind::stray:
      return "[stray]";
    case Framer::Kind::proxy_header:
      return "[PROXY]";
  }
  return {};
}

void receive(Framer& framer, std::string_view bytes, Outcomes& outcomes) {
  const std::span<char> space = framer.writable();
  REQUIRE(space.size() >= bytes.size());
  std::ranges::copy(bytes, space.begin());
  framer.commit(bytes.size());
  while (const auto frame = framer.next()) outcomes.push_back(outcome(*frame));
}

Outcomes frames(std::string_view stream, std::size_t chunk = 1000) {
  Framer framer{kMax};
  Outcomes outcomes;
  for (std::size_t at = 0; at < stream.size(); at += chunk) {
    receive(framer, stream.substr(at, chunk), outcomes);
    framer.trim();
  }
  if (const auto frame = framer.finish()) outcomes.push_back(outcome(*frame));
  return outcomes;
}

std::string counted(const std::string& message) { return std::to_string(message.size()) + " " + message; }

TEST_CASE("A message ends at LF, CRLF or NUL") {
  CHECK(frames("<14>a\n<14>b\r\n<14>c\0<14>d\n"s) == Outcomes{"<14>a", "<14>b", "<14>c", "<14>d"});
}

TEST_CASE("One CR, LF or NUL is stripped, and no more") {
  CHECK(strip_trailer("a\r") == "a");
  CHECK(strip_trailer("a\n") == "a");
  CHECK(strip_trailer("a\0"s) == "a");
  CHECK(strip_trailer("a\r\r") == "a\r");
  CHECK(strip_trailer("a").size() == 1);
  CHECK(strip_trailer("").empty());
}

TEST_CASE("Empty messages are no messages") { CHECK(frames("\n\r\n\0\0\n\n<14>a\n\r\n\n"s) == Outcomes{"<14>a"}); }

TEST_CASE("A byte order mark in front of a stream is skipped, and nowhere else") {
  const std::string mark = "\xEF\xBB\xBF";
  for (const std::size_t chunk : {1U, 2U, 3U, 4U, 1000U}) {
    CHECK(frames(mark + "<14>a\n<14>b\n", chunk) == Outcomes{"<14>a", "<14>b"});
    CHECK(frames(mark + counted("<14>a") + counted("<14>b"), chunk) == Outcomes{"<14>a", "<14>b"});
    CHECK(frames("<14>a\n" + mark + "<14>b\n", chunk) == Outcomes{"<14>a", mark + "<14>b"});
    CHECK(frames("\xEF\xBB<14>a\n", chunk) == Outcomes{"\xEF\xBB<14>a"});
    CHECK(frames(mark, chunk).empty());
  }
}

TEST_CASE("A PROXY header in front of a stream is one frame, and nowhere else") {
  const std::string header =
      GENERATE("PROXY TCP4 192.0.2.1 192.0.2.2 50000 1514\r\n"s, "PROXY UNKNOWN\r\n"s, "PROXY nonsense\n"s,
               binary_header(0x20, 0x00, ""), binary_header(0x21, 0x11, kInetAddresses),
               binary_header(0x21, 0x21, kInet6Addresses + "\n<14>x\n6 <14>x"), binary_header(0x2F, 0xFF, "x"));
  const std::string mark = "\xEF\xBB\xBF";
  const std::size_t chunk = GENERATE(1U, 2U, 3U, 7U, 16U, 1000U);
  CAPTURE(header, chunk);
  CHECK(frames(header + "<14>a\n<14>b\n", chunk) == Outcomes{"[PROXY]", "<14>a", "<14>b"});
  CHECK(frames(header + counted("<14>a") + counted("<14>b"), chunk) == Outcomes{"[PROXY]", "<14>a", "<14>b"});
  CHECK(frames(header + mark + "<14>a\n", chunk) == Outcomes{"[PROXY]", "<14>a"});
  CHECK(frames(header, chunk) == Outcomes{"[PROXY]"});
  CHECK(frames(header.substr(0, header.size() - 1), chunk) == Outcomes{"[PROXY]"});
  for (const std::string& front : {"<14>a\n"s, counted("<14>a"), header, header + "<14>a\n"}) {
    Outcomes outcomes = frames(front + header + "\n<14>b\n", chunk);
    CHECK(std::ranges::count(outcomes, "[PROXY]") == (front.starts_with(header) ? 1 : 0));
    CHECK(outcomes.back() == "<14>b");
  }
}

TEST_CASE("The begin of a PROXY header alone is none") {
  for (const std::size_t chunk : {1U, 2U, 1000U}) {
    CHECK(frames("\r\n\r\n", chunk).empty());
    CHECK(frames("\r\n\r\n\0\r\nQU"s, chunk) == Outcomes{"QU"});
    CHECK(frames("PROX", chunk) == Outcomes{"PROX"});
    CHECK(frames("PROXY\n<14>a\n", chunk) == Outcomes{"PROXY", "<14>a"});
    CHECK(frames("\r\n\r\n\0\r\nQUIT\r\n<14>a\n"s, chunk) == Outcomes{"QUIT", "<14>a"});
    CHECK(frames("\r\n\r\n\0\r\n<14>a\n"s, chunk) == Outcomes{"<14>a"});
    CHECK(frames("PROXY " + std::string(150, 'x') + "\n<14>a\n", chunk) ==
          Outcomes{"PROXY " + std::string(150, 'x'), "<14>a"});
    CHECK(frames(kBinaryMark + "\x21\x11\xFF\xFF\n<14>a\n", chunk) == Outcomes{"QUIT", "\x21\x11\xFF\xFF", "<14>a"});
  }
}

TEST_CASE("A PROXY header that is abandoned is not waited for") {
  Framer framer{kMax};
  Outcomes outcomes;
  receive(framer, binary_header(0x21, 0x11, std::string(300, 'x')).substr(0, 100), outcomes);
  CHECK(framer.abandon());
  CHECK(framer.memory() == 0);
  receive(framer, "xx\nPROXY UNKNOWN\r\n<14>a\n", outcomes);
  CHECK(outcomes == Outcomes{"PROXY UNKNOWN", "<14>a"});
}

TEST_CASE("A message ends after its octet count") {
  CHECK(frames("5 <14>a6 <14>bc7 2026-01") == Outcomes{"<14>a", "<14>bc", "2026-01"});
}

TEST_CASE("The count may include the line end, or the line end may follow") {
  CHECK(frames("6 <14>a\n5 <14>b\n6 <14>c\0005 <14>d\r\n"s) == Outcomes{"<14>a", "<14>b", "<14>c", "<14>d"});
}

TEST_CASE("Counted messages and lines mix on one connection") {
  CHECK(frames("<14>a\n5 <14>b<14>c\n8 Jun 6 da2026-01-01 e\0<14>f\n"s) ==
        Outcomes{"<14>a", "<14>b", "<14>c", "Jun 6 da", "2026-01-01 e", "<14>f"});
}

TEST_CASE("Only a count before the begin of a message is one") {
  const std::string lines =
      "2021-05-18T00:02:22Z host\n12 monkeys\n0 <14>a\n012 <14>b\n12345678 <14>c\n12\n12 \n5 2026 \n5 jan a\n5 JAn "
      "a\n5";
  CHECK(frames(lines) == Outcomes{"2021-05-18T00:02:22Z host", "12 monkeys", "0 <14>a", "012 <14>b", "12345678 <14>c",
                                  "12", "12 ", "5 2026 ", "5 jan a", "5 JAn a", "5"});
}

TEST_CASE("A counted message begins with a priority, a year, or a month of one capital and two small letters") {
  const std::size_t chunk = GENERATE(as<std::size_t>{}, 1, 1000);
  for (const std::string begin : {"<", "0000-", "9999-", "Aaa ", "Zaa ", "Aza ", "Aaz "}) {
    CHECK(frames("<14>a\n" + counted(begin), chunk) == Outcomes{"<14>a", begin});
    CHECK(frames(counted(begin) + "<14>a", chunk) == Outcomes{begin, "<14>a"});
  }
  for (const std::string begin :
       {"@aa ", "[aa ", "A`a ", "A{a ", "Aa` ", "Aa{ ", "Aaaa", "/000-", ":000-", "000/-", "000:-", "0000 ", "0000"}) {
    CHECK(frames(counted(begin), chunk) == Outcomes{counted(begin)});
    CHECK(frames(counted("<14>a") + begin + "x\n<14>b", chunk) == Outcomes{"<14>a", "[stray]", "<14>b"});
  }
}

TEST_CASE("A blank parts a count from its message") {
  CHECK(frames("5x<14>a\n1234567<14>b\n") == Outcomes{"5x<14>a", "1234567<14>b"});
}

TEST_CASE("A message over the limit is skipped to its end and told once") {
  const std::string fits(kMax, 'x');
  const std::string over(kMax + 1, 'x');
  CHECK(frames(fits + "\n" + over + "\n<14>a\n" + over + over + over + "\0<14>b\n"s) ==
        Outcomes{fits, "[too long]", "<14>a", "[too long]", "<14>b"});
}

TEST_CASE("A counted message over the limit is skipped by its count") {
  const std::string over = "<14>" + std::string(kMax, 'x');
  CHECK(frames(counted(over) + "5 <14>a" + counted(over) + "\n<14>b\n") ==
        Outcomes{"[too long]", "<14>a", "[too long]", "<14>b"});
  const std::string fits = "<14>" + std::string(kMax - 4, 'x');
  CHECK(frames(counted(fits)) == Outcomes{fits});
}

TEST_CASE("A line that is too long to the end of the stream is told once") {
  CHECK(frames(std::string(5000, 'x')) == Outcomes{"[too long]"});
}

TEST_CASE("A count that goes beyond the line costs that line alone") {
  CHECK(frames("50 <14>a\n<14>b\n5 <14>c") == Outcomes{"[bad count]", "<14>b", "<14>c"});
  CHECK(frames("7 <14>a\n<14>b\n") == Outcomes{"[bad count]", "<14>b"});
  CHECK(frames("9999999 <14>a\n<14>b\n") == Outcomes{"[too long]", "<14>b"});
}

TEST_CASE("What follows a count that is too small is skipped to the end of the line") {
  CHECK(frames("5 <14>abc\n<14>d\n") == Outcomes{"<14>a", "[stray]", "<14>d"});
  CHECK(frames("5 <14>a12 x\n<14>d\n") == Outcomes{"<14>a", "[stray]", "<14>d"});
}

TEST_CASE("A line is no stray unless it follows a counted message") {
  CHECK(frames("5 <14>a"
               "<14>b\nhello\n") == Outcomes{"<14>a", "<14>b", "hello"});
  CHECK(frames("5 <14>a"
               "oops\nhello\n") == Outcomes{"<14>a", "[stray]", "hello"});
}

TEST_CASE("The rest at the close is a message") {
  CHECK(frames("<14>a\n<14>b") == Outcomes{"<14>a", "<14>b"});
  CHECK(frames("<14>a\r") == Outcomes{"<14>a"});
  CHECK(frames("").empty());
}

TEST_CASE("The rest at the close keeps to the limit where it is not clear yet how it ends") {
  for (const auto& [rest, expected] : {std::pair{"12027 2021", "[too long]"}, std::pair{"12027 202", "12027 202"}}) {
    Framer framer{9};
    Outcomes outcomes;
    receive(framer, rest, outcomes);
    CHECK(outcomes.empty());
    if (const auto frame = framer.finish()) outcomes.push_back(outcome(*frame));
    CHECK(outcomes == Outcomes{expected});
    CHECK_FALSE(framer.finish());
  }
}

TEST_CASE("The rest at the close is none if its count says that it is not whole") {
  CHECK(frames("50 <14>a") == Outcomes{"[bad count]"});
}

TEST_CASE("How the stream is cut into reads makes no difference") {
  const std::string long_line(3 * kMax, 'y');
  const std::string stream = "<14>a\n5 <14>b\n\0\r\n50 <14>c\n<14>d\r\n"s + long_line + "\n300 <14>" + long_line +
                             "\n5 <14>efg\n2026-01-01 h\n12\n6 <14>i\n999 " + "<14>" + std::string(995, 'z') +
                             "5 <14>j" + "oops\n<14>k";
  const Outcomes whole = frames(stream, stream.size());
  REQUIRE(whole == Outcomes{"<14>a", "<14>b", "[bad count]", "<14>d", "[too long]", "[too long]", "[stray]", "<14>e",
                            "[stray]", "2026-01-01 h", "12", "<14>i", "[too long]", "<14>j", "[stray]", "<14>k"});
  for (std::size_t chunk = 1; chunk < stream.size(); ++chunk) {
    CAPTURE(chunk);
    REQUIRE(frames(stream, chunk) == whole);
  }
}

TEST_CASE("Any bytes are cut the same way however they arrive") {
  constexpr std::string_view kAlphabet{"<14>2026-Jan 0123456789 \n\r\0\"x", 30};
  for (unsigned seed = 1; seed <= 200; ++seed) {
    CAPTURE(seed);
    std::minstd_rand random{seed};
    std::string stream(3000, '\0');
    for (char& c : stream) c = kAlphabet[random() % kAlphabet.size()];
    const Outcomes whole = frames(stream, stream.size());
    REQUIRE(frames(stream, 1) == whole);
    REQUIRE(frames(stream, 1 + random() % 300) == whole);
  }
}

TEST_CASE("Memory is bounded while a message that never ends arrives, and given back after it") {
  constexpr std::size_t kLimit = 256 << 10;
  Framer framer{kLimit};
  Outcomes outcomes;
  for (int i = 0; i < 2000; ++i) {
    receive(framer, std::string(Framer::kChunk / 2, 'x'), outcomes);
    REQUIRE(framer.memory() <= 2 * kLimit + Framer::kChunk);
    framer.trim();
  }
  receive(framer, "\n", outcomes);
  framer.trim();
  CHECK(outcomes == Outcomes{"[too long]"});
  CHECK(framer.memory() == 0);
}

TEST_CASE("An unfinished message takes no more memory than it has bytes once it waits") {
  Framer framer{256 << 10};
  Outcomes outcomes;
  receive(framer, "<14>a\n<14>b", outcomes);
  framer.trim();
  CHECK(framer.memory() == 5);
  receive(framer, "c\n", outcomes);
  CHECK(outcomes == Outcomes{"<14>a", "<14>bc"});
}

TEST_CASE("There is room for half a chunk behind what is held, and twice the memory where there is not") {
  constexpr std::size_t kHalf = Framer::kChunk / 2;
  Framer framer{256 << 10};
  Outcomes outcomes;
  receive(framer, std::string(kHalf, 'x'), outcomes);
  CHECK(framer.writable().size() == kHalf);
  framer.trim();
  CHECK(framer.memory() == kHalf);
  receive(framer, "x", outcomes);
  CHECK(framer.writable().size() == 2 * Framer::kChunk - kHalf - 1);
  framer.trim();
  CHECK(framer.memory() == 2 * Framer::kChunk);
  for (int i = 0; i < 10; ++i) receive(framer, std::string(kHalf - 1, 'y') + "\n", outcomes);
  CHECK(framer.memory() == Framer::kChunk);
  CHECK(outcomes.size() == 10);
  receive(framer, "\n" + std::string(kHalf, 'x'), outcomes);
  CHECK(framer.writable().size() == kHalf);
}

TEST_CASE("What is held moves to the front of the buffer to make room") {
  Framer framer{kMax};
  Outcomes outcomes;
  for (const std::string read : {"<14>a\n<14>b", "c\n<14>", "d\n"}) receive(framer, read, outcomes);
  CHECK(outcomes == Outcomes{"<14>a", "<14>bc", "<14>d"});
}

TEST_CASE("A long message arrives whole in small pieces") {
  Framer framer{256 << 10};
  Outcomes outcomes;
  const std::string message = "<14>" + std::string((256 << 10) - 4, 'x');
  for (std::size_t at = 0; at < message.size(); at += 1000) {
    receive(framer, std::string_view{message}.substr(at, 1000), outcomes);
    framer.trim();
  }
  CHECK(outcomes.empty());
  receive(framer, "\n", outcomes);
  CHECK(outcomes == Outcomes{message});
}

TEST_CASE("An abandoned message is skipped to its end") {
  const bool is_counted = GENERATE(false, true);
  Framer framer{kMax};
  Outcomes outcomes;
  CHECK_FALSE(framer.abandon());
  receive(framer, is_counted ? "9 <14>ab" : "<14>ab", outcomes);
  CHECK(framer.abandon());
  CHECK(framer.memory() == 0);
  CHECK_FALSE(framer.abandon());
  receive(framer, is_counted ? "cde<14>f\n" : "cde\n<14>f\n", outcomes);
  CHECK(outcomes == Outcomes{"<14>f"});
}

TEST_CASE("Another limit holds for the message that is not whole yet") {
  Framer framer{kMax};
  Outcomes outcomes;
  const std::string line = "<14>" + std::string(100, 'x');
  receive(framer, line.substr(0, 60), outcomes);
  framer.set_max_message(50);
  receive(framer, line.substr(60) + "\n<14>a\n" + counted(line) + counted("<14>b") + counted(line).substr(0, 60),
          outcomes);
  framer.set_max_message(kMax);
  receive(framer, counted(line).substr(60) + counted(line), outcomes);
  CHECK(outcomes == Outcomes{"[too long]", "<14>a", "[too long]", "<14>b", "[too long]", line});
}

}  // namespace
}  // namespace qatime::ingest::framing_test
