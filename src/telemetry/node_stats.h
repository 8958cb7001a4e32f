// SPDX-License-Identifier: MIT
// The nodes of the cluster, as their records name them.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>

#include "base/mutex.h"
#include "base/timestamp.h"
#include "telemetry/metrics.h"

namespace qatime {

// The outcome of a record in ingest.
enum class RecordOutcome : std::uint8_t { accepted, move, removal, ignored, malformed };
inline constexpr std::array kRecordOutcomes{"accepted", "move", "removal", "ignored", "malformed"};  // by RecordOutcome

// The statistics of one node. The thread that calls NodeStats::find() writes; any thread reads.
class Node {
 public:
  explicit Node(std::string name) : name_{std::move(name)} {}

  // Counts a record of `time` that came at `now`. A time ahead of our clock counts as `now`.
  void count(RecordOutcome outcome, Time time, Time now) noexcept {
    records_[static_cast<std::size_t>(outcome)].add();
    seen_.store(now.time_since_epoch().count(), std::memory_order_relaxed);
    const auto newest = std::min(time, now).time_since_epoch().count();
    if (newest > newest_.load(std::memory_order_relaxed)) newest_.store(newest, std::memory_order_relaxed);
  }

  // The host name, escaped for a log line or a terminal.
  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] std::uint64_t records(RecordOutcome outcome) const noexcept {
    return records_[static_cast<std::size_t>(outcome)].value();
  }
  // When its last record came.
  [[nodiscard]] Time seen() const noexcept { return moment(seen_); }
  // The newest time of its records.
  [[nodiscard]] Time newest() const noexcept { return moment(newest_); }

 private:
  using Moment = std::atomic<Time::rep>;
  static Time moment(const Moment& from) noexcept { return Time{Time::duration{from.load(std::memory_order_relaxed)}}; }

  const std::string name_;
  std::array<metrics::Counter, kRecordOutcomes.size()> records_;
  Moment seen_{0};
  Moment newest_{0};
};

// The first kMost nodes by host name. All others share one node, "other", because a sender might invent names.
class NodeStats {
 public:
  static constexpr std::size_t kMost = 1000;

  // Returns the node of HOSTNAME (RFC 5424 section 6.2.4), made on first use. It lives as long as this. One thread.
  [[nodiscard]] Node& find(std::string_view host) {
    const Recent& recent = recent_[place(host)];
    return recent.node != nullptr && recent.host == host ? *recent.node : look_up(host);
  }

  // Returns the nodes in the order of their first records. Any thread.
  [[nodiscard]] std::vector<const Node*> all() const;

 private:
  struct Recent {
    std::string host;
    Node* node = nullptr;
  };
  // A small cache before the map. Its key is the end of the name, because names of one cluster differ there.
  static constexpr std::size_t kRecent = 64;
  static std::size_t place(std::string_view host) noexcept {
    std::size_t number = host.size();
    for (std::size_t i = host.size() > 3 ? host.size() - 3 : 0; i < host.size(); ++i) {
      number = number * 10 + static_cast<unsigned char>(host[i]);
    }
    return number % kRecent;
  }

  Node& look_up(std::string_view host);
  Node& make(std::string name) QATIME_EXCLUDES(mutex_);

  std::array<Recent, kRecent> recent_;
  boost::unordered_flat_map<std::string, Node*> known_;
  Node* other_ = nullptr;
  mutable Mutex mutex_;
  std::deque<Node> nodes_ QATIME_GUARDED_BY(mutex_);
};

}  // namespace qatime
