// SPDX-License-Identifier: MIT
#include "ingest/intake.h"

#include <cassert>
#include <string>
#include <utility>
#include <variant>

#include "ingest/body.h"
#include "ingest/header.h"
#include "ingest/logger.h"
#include "timestamp.h"

namespace qatime::ingest {
namespace {

// One counter for each reason, in the order of the enumerators.
template <class Reason>
std::vector<metrics::Counter*> make_counters(metrics::Registry& registry, std::string_view name, std::string_view help,
                                             std::size_t reasons) {
  std::vector<metrics::Counter*> counters;
  for (std::size_t i = 0; i < reasons; ++i) {
    const std::string_view reason = ingest::name(static_cast<Reason>(i));
    counters.push_back(&registry.counter(name, help, {"reason", std::string{reason}}));
  }
  return counters;
}

}  // namespace

Intake::Intake(const Policy& policy, TimeZone zone, metrics::Registry& registry, Sink sink)
    : policy_{&policy},
      zone_{std::move(zone)},
      sink_{std::move(sink)},
      traffic_{make_traffic(registry, "tcp"), make_traffic(registry, "udp"), make_traffic(registry, "tls")},
      malformed_{make_counters<Malformed>(registry, "qatime_malformed_total", "Messages that are no audit record.",
                                          kMalformedReasons)},
      ignored_{make_counters<Ignored>(registry, "qatime_ignored_total", "Records that need no access time set.",
                                      kIgnoredReasons)},
      moves_{registry.counter("qatime_moves_total", "Records of a rename.")},
      removals_{registry.counter("qatime_removals_total", "Records of a removal.")},
      accepted_{registry.counter("qatime_accepted_total", "Records of an access.")},
      clusters_{registry} {}

Intake::Traffic Intake::make_traffic(metrics::Registry& registry, const char* transport) {
  return {registry.counter("qatime_received_messages_total", "Messages received.", {"transport", transport}),
          registry.counter("qatime_received_bytes_total", "Bytes received.", {"transport", transport})};
}

void Intake::adopt(const Policy& policy, TimeZone zone) {
  assert(events_.empty());
  policy_ = &policy;
  zone_ = std::move(zone);
}

void Intake::begin(Transport transport, std::size_t bytes, std::optional<Time> written) {
  current_ = &traffic_.at(static_cast<std::size_t>(transport));
  current_->bytes.add(bytes);
  now_ = qatime::now();
  written_ = written.value_or(now_);
}

bool Intake::message(std::string_view bytes) {
  current_->messages.add();
  const Decision decision = judge(bytes);
  if (const auto* const reason = std::get_if<Malformed>(&decision)) {
    count_malformed(*reason, bytes);
    return false;
  }
  if (const auto* const reason = std::get_if<Ignored>(&decision)) {
    ignored_[static_cast<std::size_t>(*reason)]->add();
  } else {
    take(std::get<Event>(decision));
  }
  return true;
}

void Intake::reject(Malformed reason) {
  current_->messages.add();
  count_malformed(reason, {});
}

void Intake::reject(Ignored reason) {
  current_->messages.add();
  ignored_[static_cast<std::size_t>(reason)]->add();
}

void Intake::flush() {
  if (!events_.empty()) sink_(events_);
  events_.clear();
  scratch_.release();
}

Decision Intake::judge(std::string_view bytes) {
  const Parsed<Header> header = parse_header(bytes, zone_, written_);
  if (const auto* const reason = std::get_if<Malformed>(&header)) return *reason;
  const auto& read = std::get<Header>(header);
  const Parsed<Record> record = parse_body(read.body, scratch_);
  if (const auto* const reason = std::get_if<Malformed>(&record)) return *reason;
  if (policy_->takes_any_cluster()) clusters_.see(read.host);
  return policy_->decide(read, std::get<Record>(record), now_);
}

void Intake::take(const Event& event) {
  events_.push_back(event);
  if (std::holds_alternative<Access>(event)) {
    accepted_.add();
  } else if (std::holds_alternative<Move>(event)) {
    moves_.add();
  } else {
    removals_.add();
  }
}

void Intake::count_malformed(Malformed reason, std::string_view example) {
  const auto index = static_cast<std::size_t>(reason);
  malformed_[index]->add();
  kLog.warning(throttles_[index], "malformed messages ({}): {}{}{}", log::field("reason", name(reason)),
               describe(reason), example.empty() ? "" : "; the last is ", log::field("example", example));
}

}  // namespace qatime::ingest
