// SPDX-License-Identifier: MIT
// A loop and the thread that runs it.
#pragma once

#include <exception>
#include <functional>
#include <thread>
#include <utility>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <pthread.h>

namespace qatime {

// Its owner's thread starts and stops it; io() is any thread's.
class Loop {
 public:
  // `thread_name` is what top(1) and ps(1) show. `failed` gets what ends the loop other than stop(), on
  // the loop's thread.
  Loop(const char* thread_name, std::function<void(std::exception_ptr)> failed)
      : thread_name_{thread_name}, failed_{std::move(failed)} {}
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;
  ~Loop() { stop(); }

  boost::asio::io_context& io() noexcept { return io_; }

  void start() {
    thread_ = std::thread{[this] {
      pthread_setname_np(pthread_self(), thread_name_);
      try {
        io_.run();
      } catch (...) {
        failed_(std::current_exception());
      }
    }};
  }

  // Ends the loop after the work at hand and waits for the thread.
  void stop() {
    io_.stop();
    if (thread_.joinable()) thread_.join();
  }

 private:
  const char* thread_name_;
  std::function<void(std::exception_ptr)> failed_;
  boost::asio::io_context io_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{io_.get_executor()};
  std::thread thread_;
};

}  // namespace qatime
