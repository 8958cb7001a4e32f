// SPDX-License-Identifier: MIT
#include "admin/exposition.h"

#include <algorithm>
#include <chrono>
#include <string_view>
#include <vector>

#include <fmt/core.h>

#include "admin/process.h"
#include "admin/since_epoch.h"
#include "base/timestamp.h"
#include "telemetry/node_stats.h"
#include "version.h"

namespace qatime::admin {
namespace {

using metrics::Histogram;
using metrics::Label;
using metrics::Registry;

// Text that grows.
class Writer {
 public:
  void family(std::string_view name, std::string_view help, std::string_view type) {
    add("# HELP {} ", name);
    escape(help, false);
    add("\n# TYPE {} {}\n", name, type);
  }

  // `labels` are what label() makes.
  template <class Value>
  void sample(std::string_view name, std::string_view suffix, std::string_view labels, Value value) {
    text_.append(name).append(suffix);
    if (!labels.empty()) text_.append("{").append(labels).append("}");
    add(" {}\n", value);
  }

  static void label(std::string& labels, std::string_view name, std::string_view value) {
    if (name.empty()) return;
    Writer writer;
    writer.add("{}{}=\"", labels.empty() ? "" : ",", name);
    writer.escape(value, true);
    labels += writer.text_ + '"';
  }

  void histogram(std::string_view name, const std::string& labels, const Histogram& histogram) {
    const Histogram::Reading reading = histogram.read();
    for (std::size_t i = 0; i < reading.counts.size(); ++i) {
      std::string with_bound = labels;
      const bool is_last = i == histogram.bounds().size();
      label(with_bound, "le", is_last ? "+Inf" : fmt::format("{}", histogram.bounds().at(i)));
      sample(name, "_bucket", with_bound, reading.counts.at(i));
    }
    sample(name, "_sum", labels, reading.sum);
    sample(name, "_count", labels, reading.count());
  }

  [[nodiscard]] std::string take() { return std::move(text_); }

 private:
  template <class... Args>
  void add(fmt::format_string<Args...> format, Args&&... args) {
    text_ += fmt::format(format, std::forward<Args>(args)...);
  }

  void escape(std::string_view text, bool quotes) {
    for (const char c : text) {
      if (c == '\n') {
        text_ += "\\n";
      } else {
        if (c == '\\' || (quotes && c == '"')) text_ += '\\';
        text_ += c;
      }
    }
  }

  std::string text_;
};

std::string labels_of(const Label& first, const Label& second) {
  std::string labels;
  Writer::label(labels, first.name, first.value);
  Writer::label(labels, second.name, second.value);
  return labels;
}

std::string_view name(Registry::Type type) noexcept {
  switch (type) {
    case Registry::Type::counter:
      return "counter";
    case Registry::Type::gauge:
      return "gauge";
    case Registry::Type::histogram:
      return "histogram";
  }
  return "untyped";
}

void write_registry(const Registry& registry, Writer& writer) {
  std::string_view family;
  registry.visit([&](const Registry::Sample& sample) {
    if (family != sample.name) writer.family(sample.name, sample.help, name(sample.type));
    family = sample.name;
    const std::string labels = labels_of(sample.label, sample.second);
    if (sample.histogram != nullptr) {
      writer.histogram(sample.name, labels, *sample.histogram);
    } else {
      writer.sample(sample.name, "", labels, sample.value);
    }
  });
}

// Never negative, though our clock may be set back.
double lag(Time now, const Node& node) {
  return std::chrono::duration<double>{std::max(now - node.newest(), Time::duration{})}.count();
}

void write_nodes(const NodeStats& nodes, Writer& writer) {
  const std::vector<const Node*> all = nodes.all();
  std::vector<std::string> labels;
  labels.reserve(all.size());
  for (const Node* const node : all) labels.push_back(labels_of({"host", node->name()}, {}));
  const Time now = qatime::now();
  constexpr const char* kLag = "qatime_node_lag_seconds";
  writer.family(kLag, "How long ago the newest event of the node's records was.", "gauge");
  for (std::size_t i = 0; i < all.size(); ++i) writer.sample(kLag, "", labels[i], lag(now, *all[i]));
  constexpr const char* kSeen = "qatime_node_last_seen_timestamp_seconds";
  writer.family(kSeen, "When the last record of the node came.", "gauge");
  for (std::size_t i = 0; i < all.size(); ++i)
    writer.sample(kSeen, "", labels[i], fmt::format("{:.3f}", since_epoch(all[i]->seen())));
  constexpr const char* kRecords = "qatime_node_records_total";
  writer.family(kRecords, "Records of the node, by what became of them.", "counter");
  for (std::size_t i = 0; i < all.size(); ++i) {
    for (std::size_t outcome = 0; outcome < kRecordOutcomes.size(); ++outcome) {
      std::string with_outcome = labels[i];
      Writer::label(with_outcome, "outcome", kRecordOutcomes.at(outcome));
      writer.sample(kRecords, "", with_outcome, all[i]->records(static_cast<RecordOutcome>(outcome)));
    }
  }
}

void write_process(Writer& writer) {
  const Process process = Process::read();
  const auto write = [&](std::string_view name, std::string_view help, std::string_view type, const auto& value) {
    writer.family(name, help, type);
    writer.sample(name, "", "", value);
  };
  write("process_cpu_seconds_total", "User and system CPU time spent.", "counter", process.cpu_seconds);
  write("process_resident_memory_bytes", "Resident memory size.", "gauge", process.resident_bytes);
  write("process_virtual_memory_bytes", "Virtual memory size.", "gauge", process.virtual_bytes);
  write("process_open_fds", "Open file descriptors.", "gauge", process.open_descriptors);
  write("process_max_fds", "How many file descriptors may be open.", "gauge", process.max_descriptors);
  write("process_threads", "Threads.", "gauge", process.threads);
  write("process_start_time_seconds", "When the process started.", "gauge", fmt::format("{:.2f}", process.start_time));
}

}  // namespace

std::string expose(const Registry& registry, bool is_ready) {
  Writer writer;
  write_registry(registry, writer);
  write_nodes(registry.nodes(), writer);
  write_process(writer);
  writer.family("qatime_ready", "Whether records may be sent to it, as /readyz says.", "gauge");
  writer.sample("qatime_ready", "", "", is_ready ? 1 : 0);
  writer.family("qatime_build_info", "1, and which qatime this is.", "gauge");
  writer.sample("qatime_build_info", "", labels_of({"version", kVersion}, {}), 1);
  return writer.take();
}

}  // namespace qatime::admin
