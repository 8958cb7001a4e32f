// SPDX-License-Identifier: MIT
// An address that was ours for a time.
#pragma once

#include "base/address.h"
#include "base/timestamp.h"

namespace qatime {

// An address, and the latest time at which it is known to have been ours.
struct OwnAddress {
  Address address;
  Time until;
  friend bool operator==(const OwnAddress&, const OwnAddress&) = default;
};

}  // namespace qatime
