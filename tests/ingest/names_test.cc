// SPDX-License-Identifier: MIT
#include "ingest/names.h"

#include <string>
#include <utility>
#include <vector>

#include <utf8proc.h>

#include "catch.h"

namespace qatime::ingest::names_test {
namespace {

// Whether each is found among names that are the other alone.
bool are_same(const std::string& a, const std::string& b) {
  const bool same = NameSet{std::vector{a}}.has(b);
  CHECK(NameSet{std::vector{b}}.has(a) == same);
  CHECK((fold(a) == fold(b)) == same);
  return same;
}

std::string utf8(utf8proc_int32_t code) {
  std::string bytes(4, '\0');
  const auto size = utf8proc_encode_char(code, reinterpret_cast<utf8proc_uint8_t*>(bytes.data()));
  return bytes.substr(0, static_cast<std::size_t>(size));
}

}  // namespace

TEST_CASE("Names are the same in any case of any script") {
  for (const auto& [a, b] : {
           std::pair{"AD\\alice", "ad\\ALICE"},
           std::pair{"AD\\MÜLLER", "AD\\müller"},
           std::pair{"ÅSA", "åsa"},
           std::pair{"ΑΛΈΞΑΝΔΡΟΣ", "αλέξανδρος"},
           std::pair{"ИВАН", "иван"},
           std::pair{"ԱՐԱ", "արա"},
           std::pair{"STRASSE", "straße"},
           std::pair{"STRAẞE", "strasse"},
           std::pair{"\u212A", "k"},
           std::pair{"", ""},
           std::pair{"山田", "山田"},
       }) {
    CAPTURE(a, b);
    CHECK(are_same(a, b));
  }
  for (const auto& [a, b] : {std::pair{"müller", "muller"}, std::pair{"müller", "mueller"}, std::pair{"a", "ab"},
                             std::pair{"", "a"}, std::pair{"\uFF41lice", "alice"}, std::pair{"a[", "a{"}}) {
    CAPTURE(a, b);
    CHECK_FALSE(are_same(a, b));
  }
}

TEST_CASE("Names are the same however their accents are composed") {
  CHECK(are_same("M\u00DCLLER", "mu\u0308ller"));
  CHECK(are_same("\u212B", "a\u030A"));
  CHECK(are_same("\u1E69", "S\u0307\u0323"));
  CHECK(are_same("\uAC01", "\u1100\u1161\u11A8"));
  CHECK_FALSE(are_same("a\u0308\u0301", "a\u0301\u0308"));
}

TEST_CASE("Bytes that are not UTF-8 are the same as themselves alone") {
  CHECK(
      are_same("M\xDC\xDC"
               "LLER",
               "m\xDC\xDCller"));
  CHECK(are_same("\xFF\xC3\x9C", "\xFF\xC3\xBC"));
  CHECK(are_same("\xC3", "\xC3"));
  for (const auto& [a, b] : {std::pair{"m\xDC", "m\xFC"}, std::pair{"\xC0\x81", "\x01"}, std::pair{"\xC3", "\xC4"},
                             std::pair{"\xC3\xC3\x9C", "\xC3\xC3"}}) {
    CAPTURE(a, b);
    CHECK_FALSE(are_same(a, b));
  }
  const std::string with_nul{"Ü\0A", 4};
  CHECK(are_same(with_nul, {"ü\0a", 4}));
  CHECK_FALSE(are_same(with_nul, "ü"));
}

// NameSet::has() counts on both.
TEST_CASE("No character becomes shorter than a third, and what is folded stays so") {
  for (utf8proc_int32_t code = 0; code <= 0x10FFFF; ++code) {
    if (!utf8proc_codepoint_valid(code)) continue;
    const std::string character = utf8(code);
    const std::string folded = fold(character);
    if (folded.size() * 3 < character.size() || fold(folded) != folded) FAIL_CHECK(code);
  }
}

TEST_CASE("A name that is longer than any could be takes no time") {
  std::string accents;
  for (int i = 0; i < 1 << 20; ++i) accents += "\u0301";
  for (int i = 0; i < 1 << 20; ++i) accents += "\u0323";
  CHECK_FALSE(NameSet{std::vector<std::string>{"müller"}}.has(accents));
}

TEST_CASE("Of several names one is enough, and of none there is nothing") {
  const NameSet names{std::vector<std::string>{"bob", "Jürgen", "ÅSA"}};
  CHECK(names.has("BOB"));
  CHECK(names.has("JÜRGEN"));
  CHECK(names.has("a\u030Asa"));
  CHECK_FALSE(names.has("åse"));
  CHECK_FALSE(names.has(""));
  CHECK(NameSet{}.empty());
  CHECK_FALSE(NameSet{}.has(""));
}

}  // namespace qatime::ingest::names_test
