// SPDX-License-Identifier: MIT
#include "base/byte_scan.h"

#include <random>
#include <string>

#include "catch.h"

namespace qatime::byte_scan_test {

TEST_CASE("A mask finds what find() finds, in texts shorter and longer than what is looked at at once") {
  std::minstd_rand random{1};
  for (std::size_t size = 0; size < 200; ++size) {
    std::string text(size, 'x');
    for (char& c : text) c = "x,\xac\x80\n"[random() % 5];  // 0xac is ',' but for the highest bit
    // In memory of its own, so that a sanitizer sees what is read behind it.
    const std::string exact{text.begin(), text.end()};
    const ByteMask marks{exact, ','};
    for (std::size_t from = 0; from <= size; ++from) CHECK(marks.find(from) == exact.find(',', from));
  }
}

TEST_CASE("A text without a mark has none") {
  for (const std::size_t size : {0U, 1U, 63U, 64U, 65U, 1000U}) {
    CHECK(ByteMask{std::string(size, 'x'), ','}.find(0) == std::string_view::npos);
  }
}

}  // namespace qatime::byte_scan_test
