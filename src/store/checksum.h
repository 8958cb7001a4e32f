// SPDX-License-Identifier: MIT
// A checksum of bytes.
#pragma once

#include <cstdint>
#include <string_view>

#include "store/batch.h"

namespace qatime::backlog {

// Returns the CRC-32 of zlib of four numbers of `batch`, eight bytes each, lowest first, and of `blob`. The numbers are
// the sequence, the time, and the counts of accesses and of changes. Each of the two blobs has its own checksum.
[[nodiscard]] std::uint32_t checksum(const Batch& batch, std::string_view blob) noexcept;

}  // namespace qatime::backlog
