// SPDX-License-Identifier: MIT
// How long tests wait.
#pragma once

#include <chrono>
#include <cstdlib>

namespace qatime::nfs::testing {

// `usual` times QATIME_TEST_SLOWNESS, 1 without: how much longer than usual everything takes, under valgrind some 20.
// For waits that are to pass; those that are not are long anyway.
[[nodiscard]] inline std::chrono::milliseconds slowly(std::chrono::milliseconds usual) {
  const char* const slowness = std::getenv("QATIME_TEST_SLOWNESS");
  return usual * (slowness != nullptr ? std::atoi(slowness) : 1);
}

// nfs.timeout where requests are to time out.
inline const std::chrono::milliseconds kTimeout = slowly(std::chrono::milliseconds{500});

}  // namespace qatime::nfs::testing
