// SPDX-License-Identifier: MIT
#include "telemetry/node_stats.h"

#include <chrono>
#include <string>

#include "catch.h"

namespace qatime::node_stats_test {

using namespace std::chrono_literals;

TEST_CASE("A name is one node, in the order of their first records") {
  NodeStats nodes;
  Node& first = nodes.find("q-1");
  Node& second = nodes.find("q-2");
  CHECK(&first != &second);
  CHECK(&nodes.find("q-1") == &first);
  REQUIRE(nodes.all().size() == 2);
  CHECK(nodes.all()[0] == &first);
  CHECK(nodes.all()[1]->name() == "q-2");
}

TEST_CASE("Beyond the most nodes all others are one") {
  NodeStats nodes;
  for (std::size_t i = 0; i < NodeStats::kMost; ++i) (void)nodes.find("q-" + std::to_string(i));
  Node& other = nodes.find("a");
  CHECK(other.name() == "other");
  CHECK(&nodes.find("b") == &other);
  CHECK(&nodes.find("other") == &other);
  CHECK(nodes.find("q-7").name() == "q-7");
  CHECK(nodes.all().size() == NodeStats::kMost + 1);
}

TEST_CASE("A node that is called other is no second one") {
  NodeStats nodes;
  Node& other = nodes.find("other");
  for (std::size_t i = 0; i < 2 * NodeStats::kMost; ++i) (void)nodes.find("q-" + std::to_string(i));
  CHECK(&nodes.find("x") == &other);
}

TEST_CASE("Names that are overlong or alike but for their beginning are told apart as far as may be") {
  NodeStats nodes;
  CHECK(&nodes.find("a-123") != &nodes.find("b-123"));
  CHECK(nodes.find("a-123").name() == "a-123");
  CHECK(&nodes.find(std::string(255, 'x') + "1") == &nodes.find(std::string(255, 'x') + "2"));
}

TEST_CASE("The newest time of a node is that of its records, and never ahead of our clock") {
  NodeStats nodes;
  Node& node = nodes.find("q-1");
  const Time now{1'000s};
  node.count(RecordOutcome::accepted, now - 7s, now);
  node.count(RecordOutcome::ignored, now - 9s, now + 1s);
  CHECK(node.newest() == now - 7s);
  CHECK(node.seen() == now + 1s);
  node.count(RecordOutcome::accepted, now + 24h, now + 2s);
  CHECK(node.newest() == now + 2s);
  CHECK(node.records(RecordOutcome::accepted) == 2);
  CHECK(node.records(RecordOutcome::ignored) == 1);
  CHECK(node.records(RecordOutcome::malformed) == 0);
}

}  // namespace qatime::node_stats_test
