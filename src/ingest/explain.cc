// SPDX-License-Identifier: MIT
#include "ingest/explain.h"

#include <algorithm>
#include <memory_resource>
#include <span>
#include <utility>
#include <variant>

#include <fmt/core.h>

#include "ingest/parse/body.h"
#include "ingest/parse/framing.h"
#include "ingest/parse/header.h"
#include "ingest/policy.h"
#include "ingest/self_addresses.h"

namespace qatime::ingest {
namespace {

template <class Reason>
void refuse(Explanation& explanation, std::string_view outcome, Reason reason) {
  explanation.outcome = outcome;
  explanation.reason = name(reason);
  explanation.why = fmt::format("It is {} because {}.", outcome, describe(reason));
}

void add_header(Explanation& explanation, const Header& header) {
  explanation.fields.push_back({"form", std::string{describe(header.form)}});
  explanation.fields.push_back({"time", format_rfc3339(header.time)});
  explanation.fields.push_back({"host", std::string{header.host}});
}

void add_record(Explanation& explanation, const Record& record) {
  for (const auto& [name, value] :
       {std::pair{"client", record.client}, std::pair{"user", record.user}, std::pair{"protocol", record.protocol},
        std::pair{"operation", record.operation}, std::pair{"status", record.status},
        std::pair{"file_id", record.file_id}, std::pair{"path", record.path}, std::pair{"target", record.target}}) {
    explanation.fields.push_back({name, std::string{value}});
  }
}

void accept(Explanation& explanation, const Event& event) {
  if (std::holds_alternative<Access>(event)) {
    explanation.outcome = "accepted";
    explanation.why = "The object's atime becomes this time unless it is newer already.";
  } else if (const auto* const move = std::get_if<Move>(&event)) {
    explanation.outcome = "move";
    explanation.why = move->path == move->target ? "Both names are the same: nothing changes."
                                                 : "Pending accesses follow what is moved to its new name.";
  } else {
    explanation.outcome = "removal";
    explanation.why = "Pending accesses of what is gone are cancelled.";
  }
}

void decide(Explanation& explanation, const Decision& decision) {
  if (const auto* const event = std::get_if<Event>(&decision)) {
    accept(explanation, *event);
  } else if (const auto* const ignored = std::get_if<Ignored>(&decision)) {
    refuse(explanation, "ignored", *ignored);
  } else {
    refuse(explanation, "malformed", std::get<Malformed>(decision));
  }
}

// The first message of a connection that brings `line` and ends.
Parsed<std::string> first_message(std::string_view line, std::size_t max_message) {
  Framer framer{max_message};
  while (!line.empty()) {
    const std::span<char> space = framer.writable();
    const std::string_view part = line.substr(0, space.size());
    std::ranges::copy(part, space.begin());
    framer.commit(part.size());
    line.remove_prefix(part.size());
  }
  auto frame = framer.next();
  if (!frame) frame = framer.finish();
  if (!frame) return Malformed::header;
  if (frame->kind == Framer::Kind::too_long) return Malformed::too_long;
  if (frame->kind == Framer::Kind::proxy_header) return Malformed::proxy;
  if (frame->kind != Framer::Kind::message) return Malformed::framing;
  return std::string{frame->bytes};
}

}  // namespace

Explanation explain(std::string_view line, const Config& config, Time now) {
  Explanation explanation;
  const Parsed<std::string> message = first_message(line, config.syslog.max_message);
  if (const auto* const reason = std::get_if<Malformed>(&message)) {
    refuse(explanation, "malformed", *reason);
    return explanation;
  }
  const Parsed<Header> header =
      parse_header(std::get<std::string>(message), {config.syslog.rfc3164_timezone, now, config.policy.future_limit});
  if (const auto* const reason = std::get_if<Malformed>(&header)) {
    refuse(explanation, "malformed", *reason);
    return explanation;
  }
  const Header& read = std::get<Header>(header);
  add_header(explanation, read);

  std::pmr::monotonic_buffer_resource scratch;
  const Parsed<Record> record = parse_body(read.body, scratch);
  if (const auto* const reason = std::get_if<Malformed>(&record)) {
    refuse(explanation, "malformed", *reason);
    return explanation;
  }
  add_record(explanation, std::get<Record>(record));

  const SelfAddresses self{config.policy.self};
  const Exports exports = config.nfs.export_paths();
  decide(explanation, Policy{config.policy, exports, self}.decide(read, std::get<Record>(record), now));
  return explanation;
}

}  // namespace qatime::ingest
