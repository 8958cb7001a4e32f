// SPDX-License-Identifier: MIT
#include "store/checksum.h"

#include <array>
#include <cstddef>

#include <zlib.h>

namespace qatime::backlog {

std::uint32_t checksum(const Batch& batch, std::string_view blob) noexcept {
  const std::array<std::uint64_t, 4> numbers{batch.sequence,
                                             static_cast<std::uint64_t>(batch.written.time_since_epoch().count()),
                                             batch.accesses, batch.changes_count};
  std::array<Bytef, sizeof numbers> bytes{};
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes.at(i) = static_cast<Bytef>(numbers.at(i / 8) >> (8 * (i % 8)));
  }
  uLong crc = crc32_z(0, bytes.data(), bytes.size());
  crc = crc32_z(crc, reinterpret_cast<const Bytef*>(blob.data()), blob.size());
  return static_cast<std::uint32_t>(crc);
}

}  // namespace qatime::backlog
