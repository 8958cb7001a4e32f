// SPDX-License-Identifier: MIT
// A name in its item, so that one cache line tells whether it is the one that is looked for.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <string_view>

#include "base/path.h"
#include "pending/container/allocation.h"

namespace qatime::backlog {

// The last component of a path, or an empty name. Up to kInside bytes lie inside the object, longer names on the heap.
class Name {
 public:
  Name() = default;
  Name(const Name&) = delete;
  Name& operator=(const Name&) = delete;
  ~Name() { assign({}); }

  // `name` has kMaxComponent bytes at most.
  void assign(std::string_view name) {
    if (is_outside()) delete[] outside();
    size_ = static_cast<unsigned char>(name.size());
    char* to = text_.data();
    if (is_outside()) {
      to = new char[name.size()];
      std::memcpy(text_.data(), static_cast<const void*>(&to), sizeof to);
    }
    std::copy(name.begin(), name.end(), to);
  }

  [[nodiscard]] std::string_view view() const noexcept { return {is_outside() ? outside() : text_.data(), size_}; }

  [[nodiscard]] bool is_outside() const noexcept { return size_ > kInside; }

  // The bytes that it takes on the heap.
  [[nodiscard]] std::size_t heap_bytes() const noexcept { return is_outside() ? allocation_bytes(size_) : 0; }

 private:
  static constexpr std::size_t kInside = 17;
  static_assert(kMaxComponent <= 255);

  [[nodiscard]] char* outside() const noexcept {
    char* at = nullptr;
    std::memcpy(static_cast<void*>(&at), text_.data(), sizeof at);
    return at;
  }

  unsigned char size_ = 0;
  std::array<char, kInside> text_;  // the name, or where it is
};

}  // namespace qatime::backlog
