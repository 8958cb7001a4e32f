// SPDX-License-Identifier: MIT
#include "ingest/intake.h"

#include <cassert>
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
// The time without a record of policy.clusters, after which ignored ones are worth a warning.
constexpr std::chrono::seconds kSilence{10};

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
      zone_{std::move(zone)},
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
  zone_ = std::move(zone);
}

void Intake::begin(Transport transport, std::size_t bytes, std::optional<Time> written) {
  assert(thread_.is_current());
  current_ = &traffic_.at(static_cast<std::size_t>(transport));
  current_->bytes.add(bytes);
  now_ = qatime::now();
  written_ = written.value_or(now_);
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
    outcome = take(std::get<Event>(decision));
  }
  if (source.node != nullptr) source.node->count(outcome, source.time, now_);
  return outcome != RecordOutcome::malformed;
}

void Intake::reject(Malformed reason) {
  assert(thread_.is_current());
  current_->messages.add();
  count_malformed(reason, {});
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
  const Parsed<Header> header = parse_header(bytes, zone_, written_);
  if (const auto* const reason = std::get_if<Malformed>(&header)) return *reason;
  const auto& read = std::get<Header>(header);
  source = {&nodes_.find(read.host.empty() ? kUnknownHost : read.host), read.time, read.host};
  const Parsed<Record> record = parse_body(read.body, scratch_);
  if (const auto* const reason = std::get_if<Malformed>(&record)) return *reason;
  if (policy_->takes_any_cluster()) clusters_.see(read.host);
  return policy_->decide(read, std::get<Record>(record), now_);
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

void Intake::count_malformed(Malformed reason, std::string_view example) {
  const auto index = static_cast<std::size_t>(reason);
  current_->malformed[index]->add();
  const bool is_told =
      kLog.warning(throttles_[index], "malformed messages ({}): {}{}{}", log::field("reason", name(reason)),
                   describe(reason), example.empty() ? "" : "; the last is ", log::field("example", example));
  if (is_told && !example.empty()) alerts_.fail(example, fmt::format("malformed: {}", describe(reason)));
}

}  // namespace qatime::ingest
