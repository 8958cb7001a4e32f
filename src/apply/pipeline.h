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
  // One request that is outstanding. It ends once, by Completion or by unused(). Move-only; its owner keeps it until
  // the completion.
  class Token {
   public:
    Token() = default;
    Token(Token&& other) noexcept : pipeline_{std::exchange(other.pipeline_, nullptr)} {}
    Token& operator=(Token&& other) noexcept {
      assert(pipeline_ == nullptr);
      pipeline_ = std::exchange(other.pipeline_, nullptr);
      return *this;
    }
    Token(const Token&) = delete;
    Token& operator=(const Token&) = delete;
    ~Token() = default;

    // Ends the token of a request that was not started.
    void unused() noexcept { --std::exchange(pipeline_, nullptr)->outstanding_; }

   private:
    friend class Pipeline;
    explicit Token(Pipeline& pipeline) noexcept : pipeline_{&pipeline} { ++pipeline.outstanding_; }

    Pipeline* pipeline_ = nullptr;
  };

  // The scope in which a request completes. At its end the pipeline goes on.
  class Completion {
   public:
    explicit Completion(Token& token) noexcept : pipeline_{*std::exchange(token.pipeline_, nullptr)} {}
    Completion(const Completion&) = delete;
    Completion& operator=(const Completion&) = delete;
    ~Completion() { pipeline_.completed(); }

   private:
    Pipeline& pipeline_;
  };

  // Starts exactly one request, in whose completion the token gets a Completion. Or starts none and calls unused().
  using Request = std::function<void(nfs::Client&, Token)>;

  // `go_on` is called after each completion.
  Pipeline(nfs::Client& client, std::function<void()> go_on) : client_{client}, go_on_{std::move(go_on)} {}

  void submit(Request request) {
    assert(thread_.is_current());
    ready_.push_back(std::move(request));
  }

  void run() {
    assert(thread_.is_current());
    while (!ready_.empty() && has_room()) {
      const Request request = std::move(ready_.front());
      ready_.pop_front();
      request(client_, Token{*this});
    }
  }

  [[nodiscard]] bool has_room() const { return client_.room() > 0; }
  // Returns how many requests the client can have in flight: those it has, and those it has room for.
  [[nodiscard]] std::size_t width() const {
    assert(thread_.is_current());
    return outstanding_ + client_.room();
  }

 private:
  void completed() {
    assert(thread_.is_current());
    --outstanding_;
    go_on_();
  }

  ThreadChecker thread_;
  nfs::Client& client_;
  std::function<void()> go_on_;
  std::deque<Request> ready_;
  std::size_t outstanding_ = 0;
};

}  // namespace qatime::apply
