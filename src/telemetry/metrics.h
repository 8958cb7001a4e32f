// SPDX-License-Identifier: MIT
// Counters, gauges and histograms, each owned by the component that counts, listed in one registry.
//
// Names and types follow the Prometheus exposition format. A component takes references from the registry when it is
// made and keeps them. The registry outlives every component.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/mutex.h"

namespace qatime {
class Alerts;
class NodeStats;
}  // namespace qatime

namespace qatime::metrics {

// A count that only grows. One thread (or one lock) writes; any thread reads.
// Order: a thread that sees an addition here also sees every addition to other counters that came before it.
class Counter {
 public:
  void add(std::uint64_t count = 1) noexcept {
    value_.store(value_.load(std::memory_order_relaxed) + count, std::memory_order_release);
  }
  [[nodiscard]] std::uint64_t value() const noexcept { return value_.load(std::memory_order_acquire); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

// A value that goes up and down. One thread (or one lock) writes; any thread reads.
class Gauge {
 public:
  void set(std::int64_t value) noexcept { value_.store(value, std::memory_order_release); }
  void add(std::int64_t count) noexcept { set(value() + count); }
  [[nodiscard]] std::int64_t value() const noexcept { return value_.load(std::memory_order_acquire); }

 private:
  std::atomic<std::int64_t> value_{0};
};

// The distribution of durations. One thread (or one lock) writes; any thread reads.
class Histogram {
 public:
  static constexpr std::size_t kBuckets = 16;
  // Upper bounds of the buckets in seconds. One more bucket holds longer durations.
  using Bounds = std::array<double, kBuckets>;
  // Of requests.
  static constexpr Bounds kShort{0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
                                 0.05,   0.1,     0.25,   0.5,   1.0,    2.5,   5.0,  10.0};
  // Of what may wait for servers that are away.
  static constexpr Bounds kLong{0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 86400};

  // `bounds` is one of the above.
  explicit Histogram(const Bounds& bounds = kShort) noexcept : bounds_{bounds} {}

  [[nodiscard]] const Bounds& bounds() const noexcept { return bounds_; }
  void observe(std::chrono::nanoseconds duration) noexcept;

  struct Reading {
    std::array<std::uint64_t, kBuckets + 1> counts{};  // cumulative, as Prometheus has them
    double sum = 0;                                    // seconds
    [[nodiscard]] std::uint64_t count() const noexcept { return counts.back(); }
  };
  [[nodiscard]] Reading read() const noexcept;

 private:
  const Bounds& bounds_;
  std::array<Counter, kBuckets + 1> counts_;
  Counter nanoseconds_;
};

// One label and its value. An empty name means no label. qatime's metrics have at most two.
struct Label {
  std::string_view name;
  std::string value;
};

class Registry {
 public:
  Registry();
  ~Registry();
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  // Returns the metric of this name and labels, made on first use. `name`, `help` and the names of labels are string
  // literals. All metrics of one name have the same label names. Any thread.
  Counter& counter(std::string_view name, std::string_view help, Label label = {}, Label second = {});
  Gauge& gauge(std::string_view name, std::string_view help, Label label = {}, Label second = {});
  Histogram& histogram(std::string_view name, std::string_view help, Label label = {},
                       const Histogram::Bounds& bounds = Histogram::kShort);

  // Returns qatime_degraded{reason}: the number of exports that get no work for this reason, or 1 while the backlog
  // has this problem.
  Gauge& degraded(std::string_view reason);

  // Removes all metrics whose first label is this one. References to them end. Any thread.
  void remove(const Label& label) QATIME_EXCLUDES(mutex_);

  // Facts beyond numbers: the statistics of each node and the active alerts.
  [[nodiscard]] NodeStats& nodes() const noexcept { return *nodes_; }
  [[nodiscard]] Alerts& alerts() const noexcept { return *alerts_; }

  enum class Type : std::uint8_t { counter, gauge, histogram };
  struct Sample {
    std::string_view name;
    std::string_view help;
    const Label& label;
    const Label& second;
    Type type = Type::counter;
    std::int64_t value = 0;                // of a histogram: its count
    const Histogram* histogram = nullptr;  // if it is one
  };
  // Calls `visit` for each sample, in the order of the first use of the names. Samples of one name come together.
  // It reads outcomes before the totals that they are part of, so outcomes never exceed the total.
  // Any thread. `visit` must not call the registry.
  void visit(const std::function<void(const Sample&)>& visit) const;

  // Returns the sum of all samples of `name`, whatever their labels. Any thread.
  [[nodiscard]] std::int64_t sum(std::string_view name) const;

 private:
  struct Series {
    Label label;
    Label second;
    Counter counter;
    Gauge gauge;
    std::unique_ptr<Histogram> histogram;
  };
  struct Family {
    std::string_view name;
    std::string_view help;
    Type type;
    std::list<Series> series;
  };

  Series& series(std::string_view name, std::string_view help, Label label, Label second, Type type,
                 const Histogram::Bounds* bounds = nullptr) QATIME_EXCLUDES(mutex_);
  static std::int64_t value_of(const Family& family, const Series& series) noexcept;

  const std::unique_ptr<NodeStats> nodes_;
  const std::unique_ptr<Alerts> alerts_;
  mutable Mutex mutex_;
  std::deque<Family> families_ QATIME_GUARDED_BY(mutex_);
};

}  // namespace qatime::metrics
