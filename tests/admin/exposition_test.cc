// SPDX-License-Identifier: MIT
#include "admin/exposition.h"

#include <string>

#include "catch.h"
#include "telemetry/node_stats.h"

namespace qatime::admin::exposition_test {

using namespace std::chrono_literals;

namespace {

bool has_line(const std::string& text, const std::string& line) {
  return ("\n" + text).find("\n" + line + "\n") != std::string::npos;
}

}  // namespace

TEST_CASE("Counters, gauges and histograms have their help, type and labels") {
  metrics::Registry registry;
  registry.counter("a_total", "A.\nB\\.", {"reason", "x"}, {"transport", "tcp"}).add(3);
  registry.gauge("b", "B.").set(-3);
  registry.histogram("c_seconds", "C.", {"procedure", "null"}).observe(200us);
  const std::string text = admin::expose(registry);
  CHECK(has_line(text, "# HELP a_total A.\\nB\\\\."));
  CHECK(has_line(text, "# TYPE a_total counter"));
  CHECK(has_line(text, R"(a_total{reason="x",transport="tcp"} 3)"));
  CHECK(has_line(text, "b -3"));
  CHECK(has_line(text, R"(c_seconds_bucket{procedure="null",le="0.0001"} 0)"));
  CHECK(has_line(text, R"(c_seconds_bucket{procedure="null",le="0.00025"} 1)"));
  CHECK(has_line(text, R"(c_seconds_bucket{procedure="null",le="+Inf"} 1)"));
  CHECK(has_line(text, R"(c_seconds_sum{procedure="null"} 0.0002)"));
  CHECK(has_line(text, R"(c_seconds_count{procedure="null"} 1)"));
}

TEST_CASE("A family has one head, whatever labels its samples have") {
  metrics::Registry registry;
  registry.counter("a_total", "A.", {"reason", "x"}).add(1);
  registry.counter("a_total", "A.", {"reason", "a\"b\\c\nd"}).add(2);
  const std::string text = admin::expose(registry);
  const std::string head = "# TYPE a_total counter\n";
  CHECK(text.find(head) == text.rfind(head));
  CHECK(has_line(text, R"(a_total{reason="x"} 1)"));
  CHECK(has_line(text, R"(a_total{reason="a\"b\\c\nd"} 2)"));
}

TEST_CASE("A node whose clock is ahead of ours does not lag") {
  metrics::Registry registry;
  const Time time = now() + 1h;
  registry.nodes().find("q-1").count(RecordOutcome::accepted, time, time);
  CHECK(has_line(admin::expose(registry), R"(qatime_node_lag_seconds{host="q-1"} 0)"));
}

TEST_CASE("Whether it is ready is told") {
  const metrics::Registry registry;
  CHECK(has_line(admin::expose(registry, true), "qatime_ready 1"));
  CHECK(has_line(admin::expose(registry, false), "qatime_ready 0"));
}

TEST_CASE("The name of a node cannot leave its label") {
  metrics::Registry registry;
  const Time time = now();
  registry.nodes().find("q-\x1b[2J\"} 7\n\\\xff").count(RecordOutcome::accepted, time, time);
  const std::string text = admin::expose(registry);
  CHECK(text.find('\x1b') == std::string::npos);
  CHECK(has_line(text, R"(qatime_node_records_total{host="q-\\x1b[2J\\x22} 7\\x0a\\x5c\\xff",outcome="accepted"} 1)"));
}

TEST_CASE("The process and the build are told") {
  const std::string text = admin::expose(metrics::Registry{});
  for (const char* name : {"process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds",
                           "process_max_fds", "process_threads", "process_start_time_seconds"}) {
    CHECK(text.find(std::string{"\n"} + name + " ") != std::string::npos);
    CHECK(text.find(std::string{"\n"} + name + " 0\n") == std::string::npos);
  }
  CHECK(text.find("qatime_build_info{version=\"") != std::string::npos);
}

}  // namespace qatime::admin::exposition_test
