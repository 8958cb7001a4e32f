// SPDX-License-Identifier: MIT
// Requests in the order in which they became ready, started while the client has room.
#pragma once

#include <cassert>
#include <cstddef>
#include <deque>
#include <functional>
#include <utility>

#include "base/thread_checker.h"
#include "nfs/client.h"

namespace qatime::apply {

// Thread: apply.
class Pipeline {
 public:
  // Starts exactly one request, whose completion ends by calling completed(). Or starts none and calls unused().
  using Request = std::function<void(nfs::Client&)>;

  // completed() calls `go_on`.
  Pipeline(nfs::Client& client, std::function<void()> go_on) : client_{client}, go_on_{std::move(go_on)} {}

  void submit(Request request) {
    assert(thread_.is_current());
    ready_.push_back(std::move(request));
  }

  void run() {
    assert(thread_.is_current());
    while (!ready_.empty() && client_.room() > 0) {
      const Request request = std::move(ready_.front());
      ready_.pop_front();
      ++outstanding_;
      request(client_);
    }
  }

  void completed() {
    assert(thread_.is_current());
    --outstanding_;
    go_on_();
  }

  void unused() {
    assert(thread_.is_current());
    --outstanding_;
  }

  // Returns how many requests the client can have in flight: those it has, and those it has room for.
  [[nodiscard]] std::size_t width() const {
    assert(thread_.is_current());
    return outstanding_ + client_.room();
  }

 private:
  ThreadChecker thread_;
  nfs::Client& client_;
  std::function<void()> go_on_;
  std::deque<Request> ready_;
  std::size_t outstanding_ = 0;
};

}  // namespace qatime::apply
