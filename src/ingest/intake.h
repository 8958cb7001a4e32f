// SPDX-License-Identifier: MIT
// Messages in, events out, every message counted.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory_resource>
#include <optional>
#include <string_view>
#include <vector>

#include "base/event.h"
#include "base/log.h"
#include "base/thread_checker.h"
#include "base/timestamp.h"
#include "base/timezone.h"
#include "config/config.h"
#include "ingest/cluster.h"
#include "ingest/parse/reason.h"
#include "ingest/policy.h"
#include "telemetry/alerts.h"
#include "telemetry/metrics.h"
#include "telemetry/node_stats.h"

namespace qatime::ingest {

using Transport = SyslogConfig::Listener::Transport;

// How long a listener that is told to stop may still read what has arrived.
inline constexpr std::chrono::seconds kDrainLimit{1};

// Parses, filters and counts what the listeners read, and hands the events of each read over together. Each message
// ends in exactly one of the counters of malformed, ignored, moves, removals and accepted.
//
//   begin(transport, size of the read);  message(...), reject(...), ...;  flush();
//
// The intake thread.
class Intake {
 public:
  // Gets the events of one read in their order; their paths are valid until it returns.
  using Sink = std::function<void(Events)>;

  // `zone` is that of RFC 3164. `policy`, until there is another, and `registry` outlive the intake.
  Intake(const Policy& policy, TimeZone zone, metrics::Registry& registry, Sink sink);
  Intake(const Intake&) = delete;
  Intake& operator=(const Intake&) = delete;

  // What the next read, and all that follow, are judged by. Between flush() and begin().
  void reconfigure(const Policy& policy, TimeZone zone);

  // What follows was read just now, from `transport`; the whole read had this many bytes. Where the newest message of
  // its source was written long ago, `written` says when: times without a year are taken for ones of then.
  void begin(Transport transport, std::size_t bytes, std::optional<Time> written = {});

  // Takes in one message, which is not empty and stays where it is until flush(). Returns whether it is a record.
  bool message(std::string_view bytes);

  // Counts one message that could not be had, or was not looked at.
  void reject(Malformed reason);
  void reject(Ignored reason);

  // Hands over the events since begin().
  void flush();

 private:
  // What one transport brought.
  struct Traffic {
    metrics::Counter& messages;
    metrics::Counter& bytes;
    std::vector<metrics::Counter*> malformed;  // by Malformed
    std::vector<metrics::Counter*> ignored;    // by Ignored
    metrics::Counter& moves;
    metrics::Counter& removals;
    metrics::Counter& accepted;
  };

  // A message with a header is one of a node.
  struct Source {
    Node* node = nullptr;
    Time time{};
  };

  [[nodiscard]] Decision judge(std::string_view bytes, Source& source);
  RecordOutcome take(const Event& event);
  void count_malformed(Malformed reason, std::string_view example);
  static Traffic make_traffic(metrics::Registry& registry, const char* transport);

  ThreadChecker thread_;
  const Policy* policy_;
  TimeZone zone_;
  Sink sink_;
  std::array<Traffic, 3> traffic_;  // by Transport
  NodeStats& nodes_;
  Alerts& alerts_;
  std::array<log::Throttle, kMalformedReasons> throttles_;
  ClusterWatch clusters_;

  // Of the read that is being taken in:
  Time now_{};
  Time written_{};
  Traffic* current_ = traffic_.data();
  std::vector<Event> events_;
  std::array<std::byte, 16 << 10> first_scratch_;
  std::pmr::monotonic_buffer_resource scratch_{first_scratch_.data(), first_scratch_.size()};
};

}  // namespace qatime::ingest
