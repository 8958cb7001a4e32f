// SPDX-License-Identifier: MIT
// The policy for times: whether an access moves the atime that the server has.
#pragma once

#include <chrono>

#include "base/timestamp.h"
#include "config/config.h"
#include "nfs/client.h"

namespace qatime::apply {

// The rule of `policy.mode`, `policy.threshold` and `policy.granularity`. Pure policy, without side effects.
class AtimePolicy {
 public:
  explicit AtimePolicy(const PolicyConfig& policy) noexcept
      : mode_{policy.mode}, threshold_{policy.threshold}, granularity_{policy.granularity} {}

  // Whether to set the atime of an object with these attributes to `access`: never to an earlier or equal time. Both
  // times are in the range of nfstime3, so that no difference overflows.
  [[nodiscard]] bool moves(const nfs::Attributes& found, Time access) const noexcept;

 private:
  PolicyConfig::Mode mode_;
  std::chrono::nanoseconds threshold_;
  std::chrono::nanoseconds granularity_;
};

}  // namespace qatime::apply
