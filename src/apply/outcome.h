// SPDX-License-Identifier: MIT
// The meaning of a status for the entry that a request was made for.
#pragma once

#include <cstdint>

#include "nfs/status.h"

namespace qatime::apply {

enum class Outcome : std::uint8_t {
  done,
  look_again,    // the object has changed: resolve it again
  wait,          // the server will answer later: retry for ever
  wait_limited,  // it might answer later: retry, and give up after a day
  denied,        // final if it concerns this object alone; the breaker decides
  unauthorized,  // the server rejects our credentials
  failed,        // final
};

[[nodiscard]] Outcome classify(nfs::Status status) noexcept;

}  // namespace qatime::apply
