// SPDX-License-Identifier: MIT
#include "ingest/intake.h"

#include <algorithm>
#include <cassert>
#include <chrono>
#include <string>
#include <utility>
#include <variant>

#include "base/timestamp.h"
#include "ingest/logger.h"
#include "ingest/parse/body.h"
#include "ingest/parse/header.h"

namespace qatime::ingest {
namespace {

// The node of records that name no host.
constexpr std::string_view kUnknownHost{"unknown"};
// The time without a record of policy.clusters, after which ignored ones are worth a warning; and that without a time
// ahead, after which the alert ends.
constexpr std::chrono::seconds kSilence{10};
// Reason and subject of the alert on times ahead.
constexpr std::string_view kFutureReason{"future"};
constexpr std::string_view kFutureLimit{"policy.future_limit"};

// "9 h 30 min": zones differ by hours and quarters of an hour.
std::string shown(std::chrono::nanoseconds ahead) {
  using namespace std::chrono;
  constexpr auto kShort = minutes{2};
  constexpr auto kLong = days{2};
  if (ahead < kShort) return fmt::format("{} s", round<seconds>(ahead).count());
  if (ahead >= kLong) return fmt::format("{} days", floor<days>(ahead).count());
  const hh_mm_ss clock{round<minutes>(ahead)};
  if (clock.hours().count() == 0) return fmt::format("{} min", clock.minutes().count());
  return fmt::format("{} h {} min", clock.hours().count(), clock.minutes().count());
}

// One counter for each reason, in the order of the enumerators.
template <class Reason>
std::vector<metrics::Counter*> make_counters(metrics::Registry& registry, std::string_view name, std::string_view help,
                                             const char* transport, std::size_t reasons) {
  std::vector<metrics::Counter*> counters;
  for (std::size_t i = 0; i < reasons; ++i) {
    const std::string_view reason = ingest::name(static_cast<Reason>(i));
    counters.push_back(&registry.counter(name, help, {"reason", std::string{reason}}, {"transport", transport}));
  }
  return counters;
}

}  // namespace

Intake::Intake(const Policy& policy, TimeZone zone, metrics::Registry& registry, Sink sink)
    : policy_{&policy},
      clock_{std::move(zone), {}, policy.future_limit()},
      sink_{std::move(sink)},
      traffic_{make_traffic(registry, "tcp"), make_traffic(registry, "udp"), make_traffic(registry, "tls")},
      nodes_{registry.nodes()},
      alerts_{registry.alerts()},
      clusters_{registry} {}

Intake::Traffic Intake::make_traffic(metrics::Registry& registry, const char* transport) {
  const auto counter = [&](const char* name, const char* help) -> metrics::Counter& {
    return registry.counter(name, help, {"transport", transport});
  };
  return {counter("qatime_received_messages_total", "Messages received."),
          counter("qatime_received_bytes_total", "Bytes received."),
          make_counters<Malformed>(registry, "qatime_malformed_total", "Messages that are no audit record.", transport,
                                   kMalformedReasons),
          make_counters<Ignored>(registry, "qatime_ignored_total", "Records that need no access time set.", transport,
                                 kIgnoredReasons),
          counter("qatime_moves_total", "Records of a rename."),
          counter("qatime_removals_total", "Records of a removal."),
          counter("qatime_accepted_total", "Records of an access.")};
}

void Intake::reconfigure(const Policy& policy, TimeZone zone) {
  assert(thread_.is_current());
  assert(events_.empty());
  policy_ = &policy;
  clock_ = {std::move(zone), {}, policy.future_limit()};
}

void Intake::begin(Transport transport, std::size_t bytes, std::optional<Time> written) {
  assert(thread_.is_current());
  current_ = &traffic_.at(static_cast<std::size_t>(transport));
  current_->bytes.add(bytes);
  now_ = qatime::now();
  clock_.now = std::min(written.value_or(now_), now_);
}

bool Intake::message(std::string_view bytes) {
  current_->messages.add();
  Source source;
  const Decision decision = judge(bytes, source);
  RecordOutcome outcome = RecordOutcome::malformed;
  if (const auto* const malformed = std::get_if<Malformed>(&decision)) {
    count_malformed(*malformed, bytes);
  } else if (const auto* const ignored = std::get_if<Ignored>(&decision)) {
    count_ignored(*ignored, source);
    outcome = RecordOutcome::ignored;
  } else {
    ours_ = now_;
    if (future_ != Time{}) end_future();
    outcome = take(std::get<Event>(decision));
  }
  if (source.node != nullptr) source.node->count(outcome, source.time, now_);
  return outcome != RecordOutcome::malformed;
}

void Intake::reject(Malformed reason, std::string_view example) {
  assert(thread_.is_current());
  current_->messages.add();
  count_malformed(reason, example);
}

void Intake::reject(Ignored reason) {
  assert(thread_.is_current());
  current_->messages.add();
  current_->ignored[static_cast<std::size_t>(reason)]->add();
}

void Intake::flush() {
  assert(thread_.is_current());
  if (!events_.empty()) sink_(events_);
  events_.clear();
  scratch_.release();
}

Decision Intake::judge(std::string_view bytes, Source& source) {
  const Parsed<Header> header = parse_header(bytes, clock_);
  if (const auto* const reason = std::get_if<Malformed>(&header)) return *reason;
  const auto& read = std::get<Header>(header);
  source = {&nodes_.find(read.host.empty() ? kUnknownHost : read.host), read.time, read.host, read.is_local};
  const Parsed<Record> record = parse_body(read.body, scratch_);
  if (const auto* const reason = std::get_if<Malformed>(&record)) return *reason;
  if (policy_->takes_any_cluster()) clusters_.see(read.host);
  return policy_->decide(read, std::get<Record>(record), clock_of(read.is_local));
}

RecordOutcome Intake::take(const Event& event) {
  events_.push_back(event);
  if (std::holds_alternative<Access>(event)) {
    current_->accepted.add();
    return RecordOutcome::accepted;
  }
  if (std::holds_alternative<Move>(event)) {
    current_->moves.add();
    return RecordOutcome::move;
  }
  current_->removals.add();
  return RecordOutcome::removal;
}

// The reasons in front of `cluster` say nothing about the cluster.
void Intake::count_ignored(Ignored reason, const Source& source) {
  current_->ignored[static_cast<std::size_t>(reason)]->add();
  if (reason > Ignored::cluster) ours_ = now_;
  if (reason == Ignored::cluster && now_ - ours_ > kSilence) tell_other_clusters(source);
  if (reason == Ignored::future) tell_future(source);
}

// Records of other clusters beside ours are as expected. Where none of ours come, policy.clusters or a relay is wrong.
void Intake::tell_other_clusters(const Source& source) {
  const char* const advice = source.host.empty() ? "have the relay send the name of the host, too"
                             : is_host_address(source.host)
                                 ? "have the relay keep the names of hosts (syslog-ng: keep-hostname(yes))"
                                 : "name the cluster in policy.clusters";
  kLog.warning(other_clusters_,
               "all records are ignored, because none is of policy.clusters; the last is of host {}: {}",
               log::field("host", source.host), advice);
}

// A zone or a clock is wrong. While such records come, accesses are lost.
void Intake::tell_future(const Source& source) {
  future_ = now_;
  const auto times = futures_.admit();
  if (!times) return;
  const std::string_view host = source.host.empty() ? kUnknownHost : source.host;
  const std::string ahead = shown(source.time - clock_of(source.is_local));
  const char* const advice = source.is_local ? "it names no zone: set syslog.rfc3164_timezone to that of its sender"
                                             : "set the clock of the node, or of this host";
  kLog.repeated(log::Level::warning, futures_, *times,
                "records are ignored, because their times are ahead by more than policy.future_limit; "
                "the last is of node {}, by {}: {}",
                log::field("host", host), log::field("ahead", ahead), advice);
  alerts_.raise(kFutureReason, kFutureLimit,
                fmt::format("records are ignored; the last is of node {}, {} ahead: {}", host, ahead, advice));
}

void Intake::end_future() {
  if (now_ - future_ < kSilence) return;
  future_ = {};
  alerts_.resolve(kFutureReason, kFutureLimit);
}

void Intake::count_malformed(Malformed reason, std::string_view example) {
  const auto index = static_cast<std::size_t>(reason);
  current_->malformed[index]->add();
  const bool is_told =
      kLog.warning(throttles_[index], "malformed messages ({}): {}{}{}", log::field("reason", name(reason)),
                   describe(reason), example.empty() ? "" : "; the last is ", log::field("example", example));
  if (is_told && !example.empty()) alerts_.fail(example, fmt::format("malformed: {}", describe(reason)));
}

}  // namespace qatime::ingest
