// SPDX-License-Identifier: MIT
// This process, as the kernel sees it.
#pragma once

#include <cstdint>

namespace qatime::admin {

// The values of Prometheus' process_* metrics. A value that the kernel does not tell is 0.
struct Process {
  double cpu_seconds = 0;              // user and system, of all threads
  std::uint64_t virtual_bytes = 0;     //
  std::uint64_t resident_bytes = 0;    //
  std::uint64_t open_descriptors = 0;  //
  std::uint64_t max_descriptors = 0;   // the soft limit
  std::uint64_t threads = 0;           //
  double start_time = 0;               // seconds since the epoch

  // Reads the current values.
  [[nodiscard]] static Process read();
};

}  // namespace qatime::admin
