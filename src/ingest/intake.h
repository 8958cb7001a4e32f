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
#include "ingest/parse/rfc3164.h"
#include "ingest/policy.h"
#include "telemetry/alerts.h"
#include "telemetry/metrics.h"
#include "telemetry/node_stats.h"

namespace qatime::ingest {

using Transport = SyslogConfig::Listener::Transport;

// The time limit for a stopping listener to read the bytes that have arrived.
inline constexpr std::chrono::seconds kDrainLimit{1};

// Parses, filters and counts the messages that the listeners read, and passes on the events of each read together.
//
//   begin(transport, size of the read);  message(...), reject(...), ...;  flush();
//
// Guarantee: each message adds to exactly one counter: malformed, ignored, moves, removals or accepted.
// Thread: the intake thread; in `replay`, which has no other, the main thread.
class Intake {
 public:
  // Takes the events of one read, in the order of their messages. Their paths are valid until it returns.
  using Sink = std::function<void(Events)>;

  // `zone` is for times that name none. `policy` lives until reconfigure() replaces it, or as long as the
  // intake. `registry` outlives the intake.
  Intake(const Policy& policy, TimeZone zone, metrics::Registry& registry, Sink sink);
  Intake(const Intake&) = delete;
  Intake& operator=(const Intake&) = delete;

  // Sets policy and zone for the next read and those after it. Call it between flush() and begin().
  void reconfigure(const Policy& policy, TimeZone zone);

  // Begins a read of `bytes` bytes from `transport`. `written` is when the source was last written to (nothing: now).
  // It is the clock for times that name no zone: a recorded log might be years old, and RFC 3164 has no year.
  void begin(Transport transport, std::size_t bytes, std::optional<Time> written = {});

  // Takes in one message, which is not empty and stays valid until flush(). Returns false if it is malformed.
  bool message(std::string_view bytes);

  // Counts one message without its bytes: dropped in framing, or from a sender that is not allowed. `example` is for
  // the log; "" for none.
  void reject(Malformed reason, std::string_view example = {});
  void reject(Ignored reason);

  // Passes the events since begin() to the sink.
  void flush();

 private:
  // The counters of one transport.
  struct Traffic {
    metrics::Counter& messages;
    metrics::Counter& bytes;
    std::vector<metrics::Counter*> malformed;  // by Malformed
    std::vector<metrics::Counter*> ignored;    // by Ignored
    metrics::Counter& moves;
    metrics::Counter& removals;
    metrics::Counter& accepted;
  };

  // The node and time in the header of a message; no node if the header is malformed.
  struct Source {
    Node* node = nullptr;
    Time time{};
    std::string_view host{};
    bool is_local = false;
  };

  [[nodiscard]] Decision judge(std::string_view bytes, Source& source);
  RecordOutcome take(const Event& event);
  void count_malformed(Malformed reason, std::string_view example);
  void count_ignored(Ignored reason, const Source& source);
  void tell_other_clusters(const Source& source);
  void tell_future(const Source& source);
  void end_future();
  [[nodiscard]] Time clock_of(bool is_local) const noexcept { return is_local ? clock_.now : now_; }
  static Traffic make_traffic(metrics::Registry& registry, const char* transport);

  ThreadChecker thread_;
  const Policy* policy_;
  LocalClock clock_;  // `now` is that of the current read
  Sink sink_;
  std::array<Traffic, 3> traffic_;  // by Transport
  NodeStats& nodes_;
  Alerts& alerts_;
  std::array<log::Throttle, kMalformedReasons> throttles_;
  ClusterWatch clusters_;
  log::Throttle other_clusters_;
  Time ours_{};  // when the last record of our clusters came
  log::Throttle futures_;
  Time future_{};  // when the last time came that was ahead; the alert is active unless it is 0

  // The state of the current read:
  Time now_{};
  Traffic* current_ = traffic_.data();
  std::vector<Event> events_;
  std::array<std::byte, 16 << 10> first_scratch_;
  std::pmr::monotonic_buffer_resource scratch_{first_scratch_.data(), first_scratch_.size()};
};

}  // namespace qatime::ingest
