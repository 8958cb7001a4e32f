// SPDX-License-Identifier: MIT
// Requests of each export in the order in which they became ready, started while the client has room for it.
#pragma once

#include <cassert>
#include <cstddef>
#include <deque>
#include <functional>
#include <span>
#include <utility>
#include <vector>

#include "base/thread_checker.h"
#include "nfs/client.h"

namespace qatime::apply {

// Exports take turns. One without room holds no other up. Thread: apply.
class Pipeline {
 public:
  // One request that is outstanding. It ends once, by Completion or by unused(). Move-only; its owner keeps it until
  // the completion.
  class Token {
   public:
    Token() = default;
    Token(Token&& other) noexcept
        : pipeline_{std::exchange(other.pipeline_, nullptr)}, export_index_{other.export_index_} {}
    Token& operator=(Token&& other) noexcept {
      assert(pipeline_ == nullptr);
      pipeline_ = std::exchange(other.pipeline_, nullptr);
      export_index_ = other.export_index_;
      return *this;
    }
    Token(const Token&) = delete;
    Token& operator=(const Token&) = delete;
    ~Token() = default;

    // Ends the token of a request that was not started.
    void unused() noexcept { --std::exchange(pipeline_, nullptr)->queues_[export_index_].outstanding; }

   private:
    friend class Pipeline;
    Token(Pipeline& pipeline, std::size_t export_index) noexcept : pipeline_{&pipeline}, export_index_{export_index} {
      ++pipeline.queues_[export_index].outstanding;
    }

    Pipeline* pipeline_ = nullptr;
    std::size_t export_index_ = 0;
  };

  // The scope in which a request completes.
  class Completion {
   public:
    explicit Completion(Token& token) noexcept
        : pipeline_{*std::exchange(token.pipeline_, nullptr)}, export_index_{token.export_index_} {}
    Completion(const Completion&) = delete;
    Completion& operator=(const Completion&) = delete;
    ~Completion() { pipeline_.completed(export_index_); }

   private:
    Pipeline& pipeline_;
    std::size_t export_index_;
  };

  // Starts exactly one request, in whose completion the token gets a Completion. Or starts none and calls unused().
  using Request = std::function<void(nfs::Client&, Token)>;

  // `go_on` is called once after the completions that came together, with their exports, each once.
  using GoOn = std::function<void(std::span<const std::size_t> exports)>;
  Pipeline(nfs::Client& client, std::size_t exports, GoOn go_on)
      : client_{client}, go_on_{std::move(go_on)}, queues_(exports) {}

  void submit(std::size_t export_index, Request request) {
    assert(thread_.is_current());
    auto& ready = queues_[export_index].ready;
    if (ready.empty()) turns_.push_back(export_index);
    ready.push_back(std::move(request));
  }

  // Starts the requests that there is room for.
  void run() {
    assert(thread_.is_current());
    for (std::size_t blocked = 0; blocked < turns_.size() && !client_.is_full();) {
      const std::size_t export_index = turns_.front();
      turns_.pop_front();
      if (!client_.has_room(export_index)) {
        turns_.push_back(export_index);
        ++blocked;
        continue;
      }
      blocked = 0;
      start(export_index);
    }
  }

  [[nodiscard]] bool has_room(std::size_t export_index) const { return client_.has_room(export_index); }

  // Returns how many requests for the export the client has in flight.
  [[nodiscard]] std::size_t outstanding(std::size_t export_index) const noexcept {
    return queues_[export_index].outstanding;
  }

 private:
  struct Queue {
    std::deque<Request> ready;
    std::size_t outstanding = 0;
    bool has_completed = false;  // it is in completed_
  };

  void start(std::size_t export_index) {
    auto& ready = queues_[export_index].ready;
    const Request request = std::move(ready.front());
    ready.pop_front();
    if (!ready.empty()) turns_.push_back(export_index);
    request(client_, Token{*this, export_index});
  }

  void completed(std::size_t export_index) {
    assert(thread_.is_current());
    Queue& queue = queues_[export_index];
    --queue.outstanding;
    if (std::exchange(queue.has_completed, true)) return;
    if (completed_.empty()) client_.defer([this] { go_on(); });
    completed_.push_back(export_index);
  }

  void go_on() {
    for (const std::size_t export_index : completed_) queues_[export_index].has_completed = false;
    going_on_.clear();
    going_on_.swap(completed_);
    go_on_(going_on_);
  }

  ThreadChecker thread_;
  nfs::Client& client_;
  GoOn go_on_;
  std::vector<Queue> queues_;           // by export
  std::deque<std::size_t> turns_;       // of exports that have requests ready
  std::vector<std::size_t> completed_;  // exports of requests that completed since go_on_() was called
  std::vector<std::size_t> going_on_;   // those for which it was; keeps its memory
};

}  // namespace qatime::apply
