// SPDX-License-Identifier: MIT
//
// What /status.json says, for a terminal.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <functional>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <boost/system/system_error.hpp>
#include <fmt/core.h>
#include <unistd.h>

#include "admin/client.h"
#include "base/url.h"
#include "commands/commands.h"

namespace qatime::commands {
namespace {

namespace json = boost::json;

constexpr std::chrono::seconds kWatchInterval{2};
constexpr std::size_t kFew = 5;  // nodes and failures that are shown
constexpr double kSending = 60;  // seconds within which the last record of a node that sends has come

// The daemon has made it fit for a terminal; whatever else may answer has not.
std::string printable(const json::value& value) {
  const json::string& text = value.as_string();
  const std::string_view view{text.data(), text.size()};
  const bool is_plain = std::ranges::none_of(view, [](unsigned char c) { return c < 0x20 || c == 0x7F; });
  return is_plain ? std::string{view} : log::escaped(view);
}

double number(const json::value& value) { return value.is_double() ? value.get_double() : value.to_number<double>(); }

// With a comma before every three digits.
std::string grouped(double value) {
  std::string digits = fmt::format("{:.0f}", value);
  for (std::size_t i = digits.size(); i > 3 && digits[i - 4] != '-'; i -= 3) digits.insert(i - 3, 1, ',');
  return digits;
}

std::string span(double seconds) {
  if (seconds < 1) return "less than 1 s";
  if (seconds < 120) return fmt::format("{:.0f} s", seconds);
  if (seconds < 7200) return fmt::format("{:.0f} min", seconds / 60);
  return seconds < 172'800 ? fmt::format("{:.0f} h", seconds / 3600) : fmt::format("{:.0f} d", seconds / 86'400);
}

// One answer of the daemon.
class View {
 public:
  View(const json::value& status, const json::value* before) : status_{status}, before_{before} {}

  void print() const {
    print_head();
    print_troubles();
    print_stages();
    print_nodes();
    print_failures();
  }

 private:
  [[nodiscard]] static double sum(const json::value& status, std::string_view name) {
    const json::value* const metric = status.at("metrics").as_object().if_contains({name.data(), name.size()});
    if (metric == nullptr) return 0;
    if (!metric->is_array()) return number(*metric);
    double total = 0;
    for (const json::value& each : metric->get_array()) total += number(each.at("value"));
    return total;
  }
  [[nodiscard]] double sum(std::string_view name) const { return sum(status_, name); }

  // " (noent 3, inval 1)", of what is not 0.
  [[nodiscard]] std::string parts(std::string_view name, const char* label) const {
    std::map<std::string, double> parts;
    if (const auto* const metric = status_.at("metrics").as_object().if_contains({name.data(), name.size()})) {
      for (const json::value& each : metric->as_array()) parts[printable(each.at(label))] += number(each.at("value"));
    }
    std::string text;
    for (const auto& [key, value] : parts) {
      if (value != 0) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", key, grouped(value));
    }
    return text.empty() ? "" : "  (" + text + ")";
  }

  // Per second, since the answer before, or between the last samples that the daemon has kept.
  [[nodiscard]] std::string rate(std::string_view name, const char* key) const {
    double rise = 0;
    double time = 0;
    const json::array& moments = status_.at("history").at("time").as_array();
    if (before_ != nullptr && before_->at("started") == status_.at("started")) {
      rise = sum(name) - sum(*before_, name);
      time = number(status_.at("time")) - number(before_->at("time"));
    } else if (moments.size() > 1) {
      const json::array& totals = status_.at("history").at(key).as_array();
      rise = number(totals[totals.size() - 1]) - number(totals[totals.size() - 2]);
      time = number(moments[moments.size() - 1]) - number(moments[moments.size() - 2]);
    }
    return time > 0 ? fmt::format("{:>10}/s", grouped(rise / time)) : "";
  }

  void print_head() const {
    const bool is_ready = status_.at("ready").as_bool();
    const bool is_troubled = !status_.at("troubles").as_array().empty() || sum("qatime_degraded") > 0;
    const char* verdict = sum("qatime_pending_entries") > 0 ? "access times are being set" : "access times are true";
    if (is_troubled) verdict = "access times are not all true now";
    fmt::print("qatime {}, running for {}: {}\n", printable(status_.at("version")),
               span(number(status_.at("time")) - number(status_.at("started"))), is_ready ? verdict : "not ready");
    for (const json::value& reason : status_.at("reasons").as_array()) fmt::print("  {}\n", printable(reason));
  }

  void print_troubles() const {
    for (const json::value& trouble : status_.at("troubles").as_array()) {
      fmt::print("  {} {}, for {}: {}\n", printable(trouble.at("reason")), printable(trouble.at("subject")),
                 span(number(status_.at("time")) - number(trouble.at("since"))), printable(trouble.at("text")));
    }
    fmt::print("\n");
  }

  void line(const char* title, std::string_view name, const std::string& rest = {}) const {
    fmt::print("{:12}{:>16}{}\n", title, grouped(sum(name)), rest);
  }

  void print_stages() const {
    line("received", "qatime_received_messages_total", rate("qatime_received_messages_total", "received"));
    line("accepted", "qatime_accepted_total", rate("qatime_accepted_total", "accepted"));
    line("moves", "qatime_moves_total");
    line("removals", "qatime_removals_total");
    line("ignored", "qatime_ignored_total", parts("qatime_ignored_total", "reason"));
    line("malformed", "qatime_malformed_total", parts("qatime_malformed_total", "reason"));
    const double oldest = sum("qatime_pending_oldest_seconds");
    line("pending", "qatime_pending_entries", oldest > 0 ? fmt::format("  (the oldest for {})", span(oldest)) : "");
    line("applied", "qatime_applied_total", rate("qatime_applied_total", "applied"));
    line("unchanged", "qatime_unchanged_total");
    line("coalesced", "qatime_coalesced_total");
    line("cancelled", "qatime_cancelled_total");
    line("recovered", "qatime_recovered_total");
    if (status_.at("metrics").as_object().contains("qatime_handed_over_total")) {
      line("handed over", "qatime_handed_over_total");
      line("claimed", "qatime_claimed_total");
    }
    line("failed", "qatime_failed_total", parts("qatime_failed_total", "status"));
    line("dropped", "qatime_dropped_total", parts("qatime_dropped_total", "reason"));
    print_servers();
  }

  void print_servers() const {
    std::string away;
    std::size_t up = 0;
    std::size_t count = 0;
    const json::value* const servers = status_.at("metrics").as_object().if_contains("qatime_server_up");
    if (servers != nullptr) {
      for (const json::value& server : servers->as_array()) {
        ++count;
        const bool is_up = number(server.at("value")) != 0;
        up += is_up ? 1 : 0;
        if (!is_up) away += fmt::format("{}{}", away.empty() ? "  (away: " : ", ", printable(server.at("server")));
      }
    }
    fmt::print("{:12}{:>16}{}{}\n", "servers up", fmt::format("{} of {}", up, count), away, away.empty() ? "" : ")");
  }

  void print_nodes() const {
    const double now = number(status_.at("time"));
    std::vector<const json::value*> nodes;
    for (const json::value& node : status_.at("nodes").as_array()) nodes.push_back(&node);
    const auto sending = std::ranges::count_if(
        nodes, [&](const json::value* node) { return now - number(node->at("last_seen")) < kSending; });
    fmt::print("{:12}{:>16}  ({} sent a record within a minute)\n", "nodes", nodes.size(), sending);
    std::ranges::stable_sort(nodes, std::greater{}, [](const json::value* node) { return number(node->at("lag")); });
    if (nodes.size() > kFew) nodes.resize(kFew);
    for (const json::value* const node : nodes) {
      fmt::print("  {}: newest event {} ago, last record {} ago\n", printable(node->at("host")),
                 span(number(node->at("lag"))), span(now - number(node->at("last_seen"))));
    }
  }

  void print_failures() const {
    const json::array& failures = status_.at("failures").as_array();
    if (!failures.empty()) fmt::print("\nlatest failures\n");
    for (std::size_t i = 0; i < std::min(failures.size(), kFew); ++i) {
      const json::value& failure = failures[i];
      fmt::print("  {} ago: {}: {}\n", span(number(status_.at("time")) - number(failure.at("time"))),
                 printable(failure.at("subject")), printable(failure.at("reason")));
    }
  }

  const json::value& status_;
  const json::value* before_;
};

// Where the daemon of this machine listens, as far as its file says so.
std::string default_url() {
  std::optional<AdminConfig::ListenAddress> listener;
  try {
    listener = load_config({}, {}).admin.listen;
  } catch (const ConfigError&) {  // that is for the daemon to say
    listener = AdminConfig{}.listen;
  }
  if (!listener) throw std::runtime_error{"admin.listen is \"\": the daemon does not answer"};
  if (listener->port == 0) throw UsageError{"admin.listen has port 0, which is any: say with --admin where it answers"};
  if (listener->address == "0.0.0.0") listener->address = "127.0.0.1";
  if (listener->address == "::") listener->address = "::1";
  return fmt::format("http://{}", format_host_port(listener->address, listener->port));
}

int print_ready(const std::string& url) {
  const admin::HttpReply reply = admin::get(url, "/readyz");
  if (reply.status == 200) {
    fmt::print("ready\n");
    return 0;
  }
  std::string reasons;
  const json::value answer = json::parse(reply.body);  // lives longer than the loop
  for (const json::value& reason : answer.at("reasons").as_array()) {
    reasons += fmt::format("{}{}", reasons.empty() ? "" : "; ", printable(reason));
  }
  fmt::print("not ready: {}\n", reasons);
  return 1;
}

json::value ask(const std::string& url) {
  const admin::HttpReply reply = admin::get(url, "/status.json");
  if (reply.status != 200) throw admin::NoAnswer{fmt::format("{} answers {}", log::escaped(url), reply.status)};
  return json::parse(reply.body);
}

// Until it is interrupted, or nobody answers any more.
void watch(const std::string& url) {
  const bool is_terminal = isatty(STDOUT_FILENO) == 1;
  json::value before;
  for (bool is_first = true;; is_first = false) {
    const json::value status = ask(url);
    fmt::print("{}", is_terminal ? "\x1b[H\x1b[2J" : is_first ? "" : "\n");
    View{status, is_first ? nullptr : &before}.print();
    (void)std::fflush(stdout);
    before = status;
    std::this_thread::sleep_for(kWatchInterval);
  }
}

}  // namespace

int status(const StatusOptions& options) try {
  const std::string url = options.url.empty() ? default_url() : options.url;
  if (options.ready) return print_ready(url);
  if (options.watch) watch(url);
  if (options.as_json) {
    fmt::print("{}", admin::get(url, "/status.json").body);
  } else {
    View{ask(url), nullptr}.print();
  }
  return admin::get(url, "/healthz").status == 200 ? 0 : 1;
} catch (const admin::BadUrl& error) {
  throw UsageError{fmt::format("--admin: {}", error.what())};
} catch (const boost::system::system_error& error) {
  throw std::runtime_error{fmt::format("what answers is no daemon of this version ({})", error.code().message())};
} catch (const std::logic_error&) {
  throw std::runtime_error{"what answers is no daemon of this version"};
}

}  // namespace qatime::commands
