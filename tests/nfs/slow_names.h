// SPDX-License-Identifier: MIT
// Host names that are a test's: one whose lookup takes as long as it wants, and one with the addresses that it says.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

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

inline constexpr const char* kMovingName = "moving.test";

// While it lives, kMovingName has the addresses that were set last, which are numeric; without any it does not exist.
// One at a time; any thread.
class MovingName {
 public:
  explicit MovingName(std::vector<std::string> addresses);
  ~MovingName();
  MovingName(const MovingName&) = delete;
  MovingName& operator=(const MovingName&) = delete;

  void set(std::vector<std::string> addresses);
  // Lookups since then.
  [[nodiscard]] std::size_t lookups() const;
};

}  // namespace qatime::nfs::testing
