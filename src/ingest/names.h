// SPDX-License-Identifier: MIT
// Names that compare without case.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace qatime::ingest {

// Returns the form in which texts are equal that differ in case alone, or in how accents are composed: macOS and SMB
// clients differ in that (canonical caseless matching, Unicode section 3.13, D145). Keeps bytes that are not UTF-8.
[[nodiscard]] std::string fold(std::string_view text);

// Names that compare by fold(). One that is all ASCII costs no allocation. Immutable; any thread.
class NameSet {
 public:
  NameSet() = default;
  explicit NameSet(std::span<const std::string> names);

  [[nodiscard]] bool empty() const noexcept { return folded_.empty(); }
  [[nodiscard]] bool has(std::string_view name) const { return !empty() && find(name); }

 private:
  [[nodiscard]] bool find(std::string_view name) const;

  std::vector<std::string> folded_;
  std::size_t longest_ = 0;  // bytes
};

}  // namespace qatime::ingest
