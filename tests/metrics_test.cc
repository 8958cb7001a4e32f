// SPDX-License-Identifier: MIT
#include "metrics.h"

#include "catch.h"

using namespace qatime;

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
