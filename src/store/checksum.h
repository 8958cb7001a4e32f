// SPDX-License-Identifier: MIT
// A checksum of bytes.
#pragma once

#include <cstdint>
#include <string_view>

#include "store/batch.h"

namespace qatime::backlog {

// CRC-32 (that of zlib) of the sequence, the time, and the numbers of accesses and of changes of `batch`, eight bytes
// each, the lowest first, and of `blob`: one of its two, each of which has a checksum of its own.
[[nodiscard]] std::uint32_t checksum(const Batch& batch, std::string_view blob) noexcept;

}  // namespace qatime::backlog
