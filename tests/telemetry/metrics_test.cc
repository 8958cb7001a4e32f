// SPDX-License-Identifier: MIT
#include "telemetry/metrics.h"

#include <atomic>
#include <chrono>
#include <string>
#include <thread>

#include "catch.h"

namespace qatime::metrics_test {

TEST_CASE("One name and label is one counter, and the samples of a name stand together") {
  metrics::Registry registry;
  registry.counter("a_total", "A.", {"reason", "x"}).add();
  registry.gauge("b", "B.").set(-3);
  registry.counter("a_total", "A.", {"reason", "y"}).add(2);
  registry.counter("a_total", "A.", {"reason", "x"}).add();

  std::string seen;
  registry.visit([&](const metrics::Registry::Sample& s) {
    seen += std::string{s.name} + "{" + s.label.value + "}" + std::to_string(s.value) + " ";
  });
  CHECK(seen == "a_total{x}2 a_total{y}2 b{}-3 ");
  CHECK(registry.sum("a_total") == 4);
  CHECK(registry.sum("unknown") == 0);
}

TEST_CASE("Two labels tell apart what one has in common") {
  metrics::Registry registry;
  registry.counter("a_total", "A.", {"reason", "x"}, {"transport", "tcp"}).add();
  registry.counter("a_total", "A.", {"reason", "x"}, {"transport", "udp"}).add(2);
  registry.counter("a_total", "A.", {"reason", "x"}, {"transport", "tcp"}).add();
  CHECK(registry.sum("a_total") == 4);
}

TEST_CASE("A histogram counts what is within its bounds, and what is beyond them") {
  using namespace std::chrono_literals;
  metrics::Histogram histogram;
  for (const auto duration : {std::chrono::nanoseconds{50us}, std::chrono::nanoseconds{100us},
                              std::chrono::nanoseconds{30ms}, std::chrono::nanoseconds{1min}}) {
    histogram.observe(duration);
  }
  const auto reading = histogram.read();
  CHECK(reading.counts.at(0) == 2);
  CHECK(reading.counts.at(7) == 2);
  CHECK(reading.counts.at(8) == 3);
  CHECK(reading.counts.at(15) == 3);
  CHECK(reading.count() == 4);
  CHECK(reading.sum > 60.03);
  CHECK(reading.sum < 60.031);
}

TEST_CASE("A histogram of what may take long has its bounds") {
  using namespace std::chrono_literals;
  metrics::Registry registry;
  auto& histogram = registry.histogram("a_seconds", "A.", {}, metrics::Histogram::kLong);
  histogram.observe(30min);
  histogram.observe(48h);
  CHECK(histogram.bounds().back() == 86400);
  const auto reading = histogram.read();
  CHECK(reading.counts[metrics::Histogram::kBuckets - 3] == 0);  // 900 s
  CHECK(reading.counts[metrics::Histogram::kBuckets - 2] == 1);  // 3600 s
  CHECK(reading.counts[metrics::Histogram::kBuckets - 1] == 1);
  CHECK(reading.count() == 2);
}

TEST_CASE("At no time more has an outcome than came in") {
  metrics::Registry registry;
  // In the order in which they are read unless something is done about it.
  metrics::Counter& received = registry.counter("qatime_received_messages_total", "");
  metrics::Counter& accepted = registry.counter("qatime_accepted_total", "");
  metrics::Counter& applied = registry.counter("qatime_applied_total", "");
  std::atomic<bool> is_over{false};
  std::thread writer{[&] {
    while (!is_over) {
      received.add();
      accepted.add();
      applied.add();
    }
  }};
  bool is_ahead = false;
  for (int i = 0; i < 20'000; ++i) {
    std::int64_t came = 0;
    std::int64_t went = 0;
    std::int64_t in = 0;
    registry.visit([&](const metrics::Registry::Sample& sample) {
      if (sample.name == "qatime_received_messages_total") came = sample.value;
      if (sample.name == "qatime_accepted_total") in = sample.value;
      if (sample.name == "qatime_applied_total") went = sample.value;
    });
    is_ahead = is_ahead || went > in || in > came;
  }
  is_over = true;
  writer.join();
  CHECK_FALSE(is_ahead);
}

TEST_CASE("All metrics of a label can be removed, and come back from nothing") {
  metrics::Registry registry;
  registry.counter("a_total", "A.", {"server", "gone"}).add(3);
  metrics::Counter& stays = registry.counter("a_total", "A.", {"server", "stays"});
  registry.gauge("b", "B.", {"server", "gone"}).set(1);
  registry.gauge("c", "C.", {"user", "gone"}).set(2);
  stays.add(2);
  registry.remove({"server", "gone"});
  CHECK(registry.sum("a_total") == 2);
  CHECK(registry.sum("b") == 0);
  CHECK(registry.sum("c") == 2);
  stays.add(1);
  CHECK(registry.sum("a_total") == 3);
  CHECK(registry.counter("a_total", "A.", {"server", "gone"}).value() == 0);
}

}  // namespace qatime::metrics_test
