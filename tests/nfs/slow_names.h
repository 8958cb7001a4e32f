// SPDX-License-Identifier: MIT
// A host name whose lookup takes as long as a test wants.
#pragma once

#include <cstddef>

namespace qatime::nfs::testing {

inline constexpr const char* kSlowName = "slow.test";

// This program has a getaddrinfo() of its own. While a SlowNames lives, that of kSlowName does not return; after that,
// after answer() or after a minute it finds 127.0.0.1 several times. One at a time; any thread.
class SlowNames {
 public:
  SlowNames();
  ~SlowNames();
  SlowNames(const SlowNames&) = delete;
  SlowNames& operator=(const SlowNames&) = delete;

  // Lets what waits go, and waits until it has gone.
  void answer();
  // Lookups that wait.
  [[nodiscard]] std::size_t waiting() const;
};

}  // namespace qatime::nfs::testing
