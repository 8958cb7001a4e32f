// SPDX-License-Identifier: MIT
// The policy for records: which of them are accesses, moves and removals.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>
#include <variant>
#include <vector>

#include "base/event.h"
#include "base/path.h"
#include "base/timestamp.h"
#include "config/config.h"
#include "ingest/names.h"
#include "ingest/parse/header.h"
#include "ingest/parse/reason.h"
#include "ingest/parse/record.h"
#include "ingest/self_addresses.h"

namespace qatime::ingest {

using Decision = std::variant<Event, Ignored, Malformed>;

// Immutable, except for the addresses in `self`. One thread.
class Policy {
 public:
  // `config` is valid. `exports` and `self` outlive the policy. `period` has the times of all events.
  Policy(const PolicyConfig& config, const Exports& exports, const SelfAddresses& self, const Period& period = {});

  // Decides on `record`, which came with `header`. The event's paths point into the record. The only malformed result
  // is Malformed::path, for accesses, moves and removals. Other operations need no path, so it does not check theirs.
  // Of several reasons the first one counts, in the order of Ignored, with Malformed::path behind `cluster`.
  // `now` is the clock that the header's time may be ahead of by `policy.future_limit`.
  [[nodiscard]] Decision decide(const Header& header, const Record& record, Time now) const;

  // Returns `policy.future_limit`.
  [[nodiscard]] std::chrono::nanoseconds future_limit() const noexcept { return config_.future_limit; }

  // Whether `policy.clusters` is empty.
  [[nodiscard]] bool takes_any_cluster() const noexcept { return clusters_.empty(); }

 private:
  enum class Kind : std::uint8_t { other, access, move, removal, subtree_removal };

  [[nodiscard]] Kind kind_of(std::string_view operation) const noexcept;
  [[nodiscard]] bool is_ours(std::string_view host) const;
  [[nodiscard]] std::optional<Ignored> filter(const Record& record, std::string_view path) const;
  [[nodiscard]] std::optional<Ignored> filter_user(const Record& record) const;
  [[nodiscard]] std::optional<Ignored> filter_client(std::string_view client) const;
  [[nodiscard]] std::optional<Ignored> filter_time(Time time, Time now) const;
  [[nodiscard]] bool is_self(std::string_view client, Time time) const;
  [[nodiscard]] Decision decide_access(const Record& record, std::string_view path, Time time, Time now) const;
  [[nodiscard]] Decision decide_change(Kind kind, std::string_view path, std::string_view target, Time time,
                                       Time now) const;
  [[nodiscard]] bool is_exported(std::string_view path) const;
  [[nodiscard]] bool holds_export(std::string_view path) const;

  PolicyConfig config_;
  const NameSet clusters_, include_users_, exclude_users_, include_protocols_, exclude_protocols_;
  const Exports& exports_;
  const SelfAddresses& self_;
  const Period period_;
};

}  // namespace qatime::ingest
