// SPDX-License-Identifier: MIT
// A loop that a test runs until something has happened.
#pragma once

#include <chrono>
#include <functional>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>

#include "nfs/patience.h"

namespace qatime::nfs::testing {

class Loop {
 public:
  [[nodiscard]] boost::asio::io_context& io() { return io_; }

  // Whether `condition` came true, looked at after every handler; within a minute, for slow machines.
  [[nodiscard]] bool run_until(const std::function<bool()>& condition) {
    const auto deadline = std::chrono::steady_clock::now() + slowly(std::chrono::minutes{1});
    while (!condition()) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      io_.run_one_for(std::chrono::milliseconds{20});
    }
    return true;
  }

  void run_for(std::chrono::milliseconds duration) { io_.run_for(duration); }

 private:
  boost::asio::io_context io_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{io_.get_executor()};
};

}  // namespace qatime::nfs::testing
