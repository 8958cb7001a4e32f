// SPDX-License-Identifier: MIT
#include "admin/status.h"

#include <chrono>
#include <string_view>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "admin/process.h"
#include "admin/since_epoch.h"
#include "base/log.h"
#include "base/timestamp.h"
#include "telemetry/alerts.h"
#include "telemetry/node_stats.h"
#include "version.h"

namespace qatime::admin {
namespace {

namespace json = boost::json;
using metrics::Histogram;
using metrics::Registry;

json::string_view view(std::string_view text) noexcept { return {text.data(), text.size()}; }

json::string printable(std::string_view bytes) { return json::string{view(log::escaped(bytes))}; }

// By linear interpolation within its bucket, like histogram_quantile() of Prometheus; 0 where nothing was counted.
double quantile(const Histogram::Bounds& bounds, const Histogram::Reading& reading, double share) {
  const double rank = share * static_cast<double>(reading.count());
  double below = 0;
  double begin = 0;
  for (std::size_t i = 0; i < bounds.size(); ++i) {
    const auto count = static_cast<double>(reading.counts.at(i));
    const double end = bounds.at(i);
    if (count > 0 && count >= rank) return begin + (end - begin) * (rank - below) / (count - below);
    below = count;
    begin = end;
  }
  return reading.count() == 0 ? 0 : bounds.back();
}

void add_value(json::object& sample, const Registry::Sample& of) {
  if (of.histogram == nullptr) {
    sample["value"] = of.value;
    return;
  }
  const Histogram::Reading reading = of.histogram->read();
  sample["count"] = reading.count();
  sample["sum"] = reading.sum;
  sample["p50"] = quantile(of.histogram->bounds(), reading, 0.5);
  sample["p99"] = quantile(of.histogram->bounds(), reading, 0.99);
}

json::object metrics_of(const Registry& registry) {
  json::object metrics;
  registry.visit([&](const Registry::Sample& of) {
    if (of.label.name.empty() && of.histogram == nullptr) {
      metrics[view(of.name)] = of.value;
      return;
    }
    json::object sample;
    for (const metrics::Label* const label : {&of.label, &of.second}) {
      if (!label->name.empty()) sample[view(label->name)] = printable(label->value);
    }
    add_value(sample, of);
    json::value& samples = metrics[view(of.name)];
    if (!samples.is_array()) samples.emplace_array();
    samples.as_array().push_back(std::move(sample));
  });
  return metrics;
}

json::array nodes_of(const NodeStats& nodes, Time now) {
  json::array list;
  for (const Node* const node : nodes.all()) {
    json::object records;
    for (std::size_t outcome = 0; outcome < kRecordOutcomes.size(); ++outcome) {
      records[kRecordOutcomes.at(outcome)] = node->records(static_cast<RecordOutcome>(outcome));
    }
    list.push_back(json::object{{"host", view(node->name())},
                                {"lag", since_epoch(now) - since_epoch(node->newest())},
                                {"last_seen", since_epoch(node->seen())},
                                {"records", std::move(records)}});
  }
  return list;
}

json::array troubles_of(const Alerts& alerts) {
  json::array list;
  for (const Alerts::Alert& alert : alerts.active()) {
    list.push_back(json::object{{"reason", printable(alert.reason)},
                                {"subject", printable(alert.subject)},
                                {"text", json::string{view(log::printable(alert.text))}},
                                {"unready", alert.effect == Alerts::Effect::unready},
                                {"since", since_epoch(alert.since)}});
  }
  return list;
}

json::array failures_of(const Alerts& alerts) {
  json::array list;
  for (const Alerts::Failure& failure : alerts.failures()) {
    list.push_back(json::object{{"time", since_epoch(failure.time)},
                                {"subject", printable(failure.subject)},
                                {"reason", printable(failure.reason)}});
  }
  return list;
}

json::object history_of(const History& history) {
  json::array time;
  json::array pending;
  json::array received;
  json::array accepted;
  json::array applied;
  for (const History::Snapshot& sample : history.samples()) {
    time.push_back(since_epoch(sample.time));
    pending.push_back(sample.pending);
    received.push_back(sample.received);
    accepted.push_back(sample.accepted);
    applied.push_back(sample.applied);
  }
  return {{"time", time}, {"pending", pending}, {"received", received}, {"accepted", accepted}, {"applied", applied}};
}

}  // namespace

std::string status_document(const Registry& registry, const History& history,
                            const std::vector<std::string>& not_ready) {
  json::array reasons;
  for (const std::string& reason : not_ready) reasons.emplace_back(view(log::printable(reason)));
  const Process process = Process::read();
  const Time now = qatime::now();
  const json::object document{{"version", view(kVersion)},
                              {"time", since_epoch(now)},
                              {"started", process.start_time},
                              {"ready", not_ready.empty()},
                              {"reasons", std::move(reasons)},
                              {"troubles", troubles_of(registry.alerts())},
                              {"metrics", metrics_of(registry)},
                              {"nodes", nodes_of(registry.nodes(), now)},
                              {"failures", failures_of(registry.alerts())},
                              {"history", history_of(history)},
                              {"process",
                               {{"resident_bytes", process.resident_bytes},
                                {"cpu_seconds", process.cpu_seconds},
                                {"open_descriptors", process.open_descriptors}}}};
  return json::serialize(document) + '\n';
}

}  // namespace qatime::admin
