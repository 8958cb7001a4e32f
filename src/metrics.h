// SPDX-License-Identifier: MIT
// Counters and gauges, each owned by the component that counts, listed in one registry.
//
// Names and types are those of the Prometheus exposition format. A component takes references from the
// registry when it is made and keeps them; the registry outlives every component.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace qatime::metrics {

// Only grows. One thread (or one lock) writes; any thread reads.
class Counter {
 public:
  void add(std::uint64_t count = 1) noexcept {
    value_.store(value_.load(std::memory_order_relaxed) + count, std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint64_t value() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

// Goes up and down. One thread (or one lock) writes; any thread reads.
class Gauge {
 public:
  void set(std::int64_t value) noexcept { value_.store(value, std::memory_order_relaxed); }
  void add(std::int64_t count) noexcept { set(value() + count); }
  [[nodiscard]] std::int64_t value() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::int64_t> value_{0};
};

// One label and its value; an empty name is no label. qatime's metrics have one at most.
struct Label {
  std::string_view name;
  std::string value;
};

class Registry {
 public:
  Registry() = default;
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  // The counter or gauge of this name and label, made on first use. `name`, `help` and the label's name
  // are literals. Any thread.
  Counter& counter(std::string_view name, std::string_view help, Label label = {});
  Gauge& gauge(std::string_view name, std::string_view help, Label label = {});

  struct Sample {
    std::string_view name;
    std::string_view help;
    const Label& label;
    bool is_counter = true;
    std::int64_t value = 0;
  };
  // Calls `visit` for every counter and gauge in the order in which the names were first used, the samples of one
  // name together. Any thread; `visit` must not call the registry.
  void visit(const std::function<void(const Sample&)>& visit) const;

  // The sum of all samples of `name`, whatever their label. Any thread.
  [[nodiscard]] std::int64_t sum(std::string_view name) const;

 private:
  struct Series {
    Label label;
    Counter counter;
    Gauge gauge;
  };
  struct Family {
    std::string_view name;
    std::string_view help;
    bool is_counter;
    std::deque<Series> series;
  };

  Series& series(std::string_view name, std::string_view help, Label label, bool is_counter);

  mutable std::mutex mutex_;
  // guarded by mutex_:
  std::deque<Family> families_;
};

}  // namespace qatime::metrics
