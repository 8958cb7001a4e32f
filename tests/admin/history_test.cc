// SPDX-License-Identifier: MIT
#include "admin/history.h"

#include "catch.h"

namespace qatime::admin::history_test {

TEST_CASE("The history has sums over all labels and forgets what is older than a quarter of an hour") {
  metrics::Registry registry;
  for (const char* const name : {"qatime_accepted_total", "qatime_received_messages_total"}) {
    registry.counter(name, "", {"transport", "tcp"}).add(2);
    registry.counter(name, "", {"transport", "udp"}).add(3);
  }
  registry.gauge("qatime_pending_entries", "").set(4);
  admin::History history;
  history.take(registry);
  REQUIRE(history.samples().size() == 1);
  CHECK(history.samples()[0].accepted == 5);
  CHECK(history.samples()[0].received == 5);
  CHECK(history.samples()[0].pending == 4);
  CHECK(history.samples()[0].applied == 0);
  registry.gauge("qatime_pending_entries", "").set(9);
  for (std::size_t i = 0; i < admin::History::kSamples; ++i) history.take(registry);
  CHECK(history.samples().size() == admin::History::kSamples);
  CHECK(history.samples().front().pending == 9);
  CHECK((admin::History::kSamples - 1) * admin::History::kInterval == admin::History::kSpan);
}

}  // namespace qatime::admin::history_test
