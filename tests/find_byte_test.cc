// SPDX-License-Identifier: MIT
#include "find_byte.h"

#include <cstddef>
#include <string>

#include "catch.h"

namespace qatime {
namespace {

TEST_CASE("The first of a byte is found, wherever it is in text of any length") {
  for (std::size_t size = 0; size < 70; ++size) {
    for (std::size_t at = 0; at <= size; ++at) {
      std::string text(size, 'x');
      if (at < size) text[at] = ',';
      if (at + 1 < size) text[size - 1] = ',';
      CHECK(find_byte(text, ',') == text.find(','));
    }
  }
}

// Those differ from it in one bit, or by one, on either side.
TEST_CASE("No byte is taken for another") {
  for (int wanted = 0; wanted < 256; ++wanted) {
    for (int other = 0; other < 256; ++other) {
      const std::string text{static_cast<char>(other),
                             static_cast<char>(other ^ 1),
                             static_cast<char>(wanted),
                             static_cast<char>(other),
                             'a',
                             'b',
                             'c',
                             static_cast<char>(wanted)};
      REQUIRE(find_byte(text, static_cast<char>(wanted)) == text.find(static_cast<char>(wanted)));
    }
  }
}

}  // namespace
}  // namespace qatime
