// SPDX-License-Identifier: MIT
// Requests of each export in the order in which they became ready, started while the client has room.
#pragma once

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <deque>
#include <functional>
#include <utility>
#include <vector>

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
  Pipeline(nfs::Client& client, std::size_t exports, std::function<void()> go_on)
      : client_{client}, go_on_{std::move(go_on)}, ready_(exports) {}

  void submit(std::size_t export_index, Request request) {
    assert(thread_.is_current());
    ready_[export_index].push_back(std::move(request));
  }

  // Starts the requests that there is room for, of one export after the other.
  void run() {
    assert(thread_.is_current());
    for (std::size_t idle = 0; idle < ready_.size(); next_ = (next_ + 1) % ready_.size()) {
      auto& ready = ready_[next_];
      if (ready.empty() || client_.room(next_) == 0) {
        ++idle;
        continue;
      }
      idle = 0;
      const Request request = std::move(ready.front());
      ready.pop_front();
      request(client_, Token{*this});
    }
  }

  // Returns the room of the export that has most.
  [[nodiscard]] std::size_t room() const {
    assert(thread_.is_current());
    std::size_t room = 0;
    for (std::size_t export_index = 0; export_index < ready_.size(); ++export_index) {
      room = std::max(room, client_.room(export_index));
    }
    return room;
  }

  // Returns how many requests the client has in flight.
  [[nodiscard]] std::size_t outstanding() const noexcept { return outstanding_; }

 private:
  void completed() {
    assert(thread_.is_current());
    --outstanding_;
    go_on_();
  }

  ThreadChecker thread_;
  nfs::Client& client_;
  std::function<void()> go_on_;
  std::vector<std::deque<Request>> ready_;  // by export
  std::size_t next_ = 0;                    // next in turn
  std::size_t outstanding_ = 0;
};

}  // namespace qatime::apply
