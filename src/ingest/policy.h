// SPDX-License-Identifier: MIT
// Which records are accesses, moves and removals.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "config.h"
#include "event.h"
#include "ingest/reason.h"
#include "ingest/record.h"
#include "ingest/self_addresses.h"
#include "path.h"

namespace qatime::ingest {

using Decision = std::variant<Event, Ignored, Malformed>;

// Immutable but for the addresses that it asks; one thread.
class Policy {
 public:
  // `config` is valid. `lanes` and `self` outlive the policy.
  Policy(const PolicyConfig& config, const Lanes& lanes, const SelfAddresses& self);

  // What becomes of `record`, which is of `time`. The event's paths point into the record. The only way to be malformed
  // is a path, and only for an operation that matters: others may carry none, or one of another kind.
  [[nodiscard]] Decision decide(const Record& record, Time time, Time now) const;

 private:
  enum class Kind : std::uint8_t { other, access, move, removal, subtree_removal };

  [[nodiscard]] Kind kind_of(std::string_view operation) const noexcept;
  [[nodiscard]] bool is_self(std::string_view client) const;
  [[nodiscard]] Decision decide_access(const Record& record, std::string_view path, Time time, Time now) const;
  [[nodiscard]] Decision decide_move(std::string_view path, std::string_view target, Time time) const;
  [[nodiscard]] Decision decide_removal(std::string_view path, bool subtree, Time time) const;
  [[nodiscard]] bool is_exported(std::string_view path) const;

  std::vector<std::string> operations_;
  std::vector<Address> own_;
  std::chrono::nanoseconds future_limit_;
  const Lanes& lanes_;
  const SelfAddresses& self_;
};

}  // namespace qatime::ingest
