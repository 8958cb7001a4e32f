// SPDX-License-Identifier: MIT
#include "apply/atime_policy.h"

namespace qatime::apply {

// Relatime is that of Linux (relatime_need_update() in fs/inode.c) without its look at ctime, which a SETATTR of atime
// moves itself.
bool AtimePolicy::moves(const nfs::Attributes& found, Time access) const noexcept {
  const auto step = access - found.atime;
  if (step <= step.zero() || step < granularity_) return false;
  return mode_ == PolicyConfig::Mode::strict || found.atime <= found.mtime || step >= threshold_;
}

}  // namespace qatime::apply
