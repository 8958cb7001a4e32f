// SPDX-License-Identifier: MIT
// Whole records: each message ends in exactly one counter, the one that `check --record` names, and what is handed over
// has normal paths.
#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "config/config.h"
#include "ingest/explain.h"
#include "ingest/intake.h"
#include "ingest/message_stream.h"
#include "target.h"

namespace {

using namespace qatime;
using namespace qatime::fuzz;
using ingest::Explanation;

constexpr std::array<std::string_view, 4> kExports{"[]", R"([{path="/a",export="/a"},{path="/a/b",export="/b"}])",
                                                   R"([{path="/",export="/"}])", R"([{path="/data",export="/"}])"};

Config make_config(unsigned choice) {
  std::vector<std::string> settings;
  if (choice % 4 != 0) settings.push_back("nfs.exports=" + std::string{kExports[choice % 4]});
  if (choice & 4) {
    settings.insert(
        settings.end(),
        {R"(policy.clusters=["cs-fil","q"])", R"(policy.include_paths=["/a","/data"])",
         R"(policy.exclude_paths=["/a/x"])", R"(policy.include_users=["alice","AD\\alice","u"])",
         R"(policy.exclude_users=["root"])", R"(policy.exclude_clients=["10.0.0.0/8","::1"])",
         R"(policy.exclude_protocols=["api"])", R"(policy.self=["192.0.2.1"])", R"(policy.future_limit="1h")"});
  }
  return load_config("/dev/null", settings);
}

// The counters in one of which every message over TCP ends, by name: "moves", "malformed path".
class Outcomes {
 public:
  explicit Outcomes(metrics::Registry& registry) {
    std::vector<std::tuple<std::string_view, std::string_view, metrics::Label, metrics::Label>> all;
    registry.visit(
        [&](const auto& sample) { all.emplace_back(sample.name, sample.help, sample.label, sample.second); });
    for (const auto& [name, help, label, second] : all) {
      const bool has_reason = label.name == "reason";
      if ((has_reason ? second : label).value != "tcp") continue;
      for (const std::string_view kind : {"malformed", "ignored", "moves", "removals", "accepted"}) {
        if (name != "qatime_" + std::string{kind} + "_total") continue;
        counted_.push_back(
            {std::string{kind} + (has_reason ? " " + label.value : ""), registry.counter(name, help, label, second)});
      }
    }
  }

  // The one that has counted one message since the last call; nothing for none, or for several messages.
  std::optional<std::string_view> next() {
    std::string_view moved;
    std::uint64_t messages = 0;
    for (Counted& one : counted_) {
      const std::uint64_t count = one.counter.value();
      if (count == one.count) continue;
      messages += count - std::exchange(one.count, count);
      moved = one.name;
    }
    return messages == 1 ? std::optional{moved} : std::nullopt;
  }

 private:
  struct Counted {
    std::string name;
    const metrics::Counter& counter;
    std::uint64_t count = 0;
  };
  std::vector<Counted> counted_;
};

// An intake with one configuration, and what it did with the message that it was given last.
class Subject {
 public:
  explicit Subject(unsigned choice) : config_{make_config(choice)} {}

  const Config& config() const noexcept { return config_; }

  // Returns the counter that the message ended in; nothing if the text was none, or several.
  std::optional<std::string_view> take(std::string_view text) {
    events_ = 0;
    ingest::MessageStream stream{config_.syslog.max_message, ingest::Transport::tcp, intake_};
    const std::span<char> space = stream.writable();
    require(text.size() <= space.size(), "there is room for a text");
    std::ranges::copy(text, space.begin());
    stream.take(text.size());
    stream.end();
    return outcomes_.next();
  }

  // How many it handed over.
  std::size_t events() const noexcept { return events_; }

 private:
  void keep(Events events) {
    events_ += events.size();
    for (const Event& event : events) {
      std::visit([](const auto& one) { require(normal_path(one.path) == one.path, "paths are normal"); }, event);
      if (const auto* const move = std::get_if<Move>(&event)) {
        require(normal_path(move->target) == move->target, "targets are normal");
      }
    }
  }

  Config config_;
  Exports exports_ = config_.nfs.export_paths();
  ingest::SelfAddresses self_{config_.policy.self};
  ingest::Policy policy_{config_.policy, exports_, self_};
  metrics::Registry metrics_;
  std::size_t events_ = 0;
  ingest::Intake intake_{policy_, config_.syslog.rfc3164_timezone, metrics_, [this](Events events) { keep(events); }};
  Outcomes outcomes_{metrics_};
};

Subject& subject(unsigned choice) {
  static std::array<std::unique_ptr<Subject>, 8> subjects;
  auto& one = subjects[choice % subjects.size()];
  if (!one) one = std::make_unique<Subject>(choice);
  return *one;
}

std::string counter_of(const Explanation& explanation) {
  if (explanation.outcome == "move") return "moves";
  if (explanation.outcome == "removal") return "removals";
  std::string counter{explanation.outcome};
  return explanation.reason.empty() ? counter : counter.append(" ").append(explanation.reason);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  log::set_level(log::Level::error);
  const Input input{data, size};
  Subject& one = subject(input.choice());
  const auto counter = one.take(input.text());
  const Explanation explanation = ingest::explain(input.text(), one.config(), now());
  if (!counter) return 0;
  require(*counter == counter_of(explanation), "a message is counted as it is explained");
  const bool is_event = explanation.outcome != "malformed" && explanation.outcome != "ignored";
  require(one.events() == (is_event ? 1 : 0), "an event is handed over for what is neither malformed nor ignored");
  return 0;
}
