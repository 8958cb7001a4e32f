// SPDX-License-Identifier: MIT
// The policy for times: whether an access moves the atime that the server has.
#pragma once

#include <chrono>

#include "base/timestamp.h"
#include "config/config.h"
#include "nfs/client.h"

namespace qatime::apply {

// The rule of `policy.mode`, `policy.threshold`, `policy.granularity` and `policy.repair_future`. Pure policy, without
// side effects.
class AtimePolicy {
 public:
  explicit AtimePolicy(const PolicyConfig& policy) noexcept
      : mode_{policy.mode},
        threshold_{policy.threshold},
        granularity_{policy.granularity},
        future_limit_{policy.future_limit},
        repairs_future_{policy.repair_future} {}

  // Whether to set the atime of an object with these attributes to `access`: never to an earlier or equal time. Both
  // times are in the range of nfstime3, so that no difference overflows.
  [[nodiscard]] bool moves(const nfs::Attributes& found, Time access) const noexcept;

  // Whether the atime is ahead of the clock by more than `policy.future_limit`. So is one before 1970, which servers
  // send as a time after 2038, because nfstime3 (RFC 1813 section 2.5) has no sign.
  [[nodiscard]] bool is_ahead(const nfs::Attributes& found, Time now) const noexcept {
    return future_limit_ > future_limit_.zero() && found.atime - now > future_limit_;
  }
  // Whether to set such a time back to that of an access.
  [[nodiscard]] bool repairs_future() const noexcept { return repairs_future_; }

 private:
  PolicyConfig::Mode mode_;
  std::chrono::nanoseconds threshold_;
  std::chrono::nanoseconds granularity_;
  std::chrono::nanoseconds future_limit_;
  bool repairs_future_;
};

}  // namespace qatime::apply
