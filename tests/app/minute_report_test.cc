// SPDX-License-Identifier: MIT
#include "app/minute_report.h"

#include "catch.h"
#include "log_lines.h"

namespace qatime::minute_report_test {

TEST_CASE("A report has what has moved since the last one, and there is none where nothing has") {
  metrics::Registry registry;
  auto& tcp = registry.counter("qatime_accepted_total", "", {"transport", "tcp"});
  auto& udp = registry.counter("qatime_accepted_total", "", {"transport", "udp"});
  auto& applied = registry.counter("qatime_applied_total", "");
  registry.gauge("qatime_pending_entries", "").set(7);
  MinuteReport report{registry};
  const auto write = [&] { return said(log::Format::text, [&] { report.write(); }); };
  CHECK(write().empty());
  tcp.add(3);
  udp.add(2);
  CHECK(write().ends_with(" info daemon: in the last minute: accepted 5; 7 pending\n"));
  CHECK(write().empty());
  udp.add(1);
  applied.add(4);
  CHECK(write().ends_with(": accepted 1, applied 4; 7 pending\n"));
  applied.add(1);
  CHECK(said(log::Format::json, [&] { report.write(); })
            .ends_with(R"(7 pending","applied":1,"pending":7})"
                       "\n"));
}

}  // namespace qatime::minute_report_test
