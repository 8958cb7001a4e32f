// SPDX-License-Identifier: MIT
//
// One thread: while it reads, nothing is applied, and the loop of the servers' connections turns between two reads;
// while it applies, there is nothing to read. Nothing is applied before all is read: this makes the newest time and the
// last name of every file known in time.
#include "app/replay.h"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <string>
#include <vector>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <fmt/core.h>
#include <sys/resource.h>

#include "app/address_file.h"
#include "app/apply_loop.h"
#include "app/progress.h"
#include "atime/probe.h"
#include "backlog/local.h"
#include "base/loop.h"
#include "base/path.h"
#include "ingest/intake.h"
#include "ingest/message_stream.h"
#include "ingest/policy.h"
#include "ingest/self_addresses.h"
#include "nfs/session.h"

namespace qatime {
namespace {

using namespace std::chrono_literals;

constexpr log::Logger kReplayLog{"replay"};

// How long what is in flight may take to end after the signal to stop.
constexpr auto kLanding = 5s;
// How long a log that has nothing to read keeps the loop from turning.
constexpr auto kReadWait = 50ms;

// Every change of names counts for all accesses.
constexpr std::size_t kAll = std::numeric_limits<std::size_t>::max();
constexpr backlog::HistoryLimits kForEver{Clock::Duration::max(), kAll, kAll};

constexpr double kMebi = 1 << 20;

double seconds_since(Clock::Instant start) {
  return std::chrono::duration<double>(SteadyClock{}.now() - start).count();
}

// "1:02:03" or "2:03".
std::string shown_duration(double seconds) {
  const auto whole = static_cast<std::int64_t>(seconds);
  if (whole < 3600) return fmt::format("{}:{:02}", whole / 60, whole % 60);
  return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
}

// The most memory that the whole takes.
std::int64_t peak_memory_mebibytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss / 1024;
}

// Prints counters, one a line; those with labels have what is not 0 behind them.
class Summary {
 public:
  explicit Summary(const metrics::Registry& registry) : registry_{registry} {}

  void line(const char* title, const std::string& name) const {
    std::string parts;
    registry_.visit([&](const metrics::Registry::Sample& sample) {
      if (sample.name != name || sample.label.name.empty() || sample.label.name == "transport" || sample.value == 0)
        return;
      parts += fmt::format("{} {} {}", parts.empty() ? " " : ",", sample.label.value, sample.value);
    });
    fmt::print("{:12} {:12}{}\n", title, registry_.sum(name), parts);
  }

 private:
  const metrics::Registry& registry_;
};

constexpr std::string_view kMessages{"qatime_received_messages_total"};
constexpr std::string_view kMalformed{"qatime_malformed_total"};

class Replay {
 public:
  Replay(const Config& config, const Period& period, std::chrono::nanoseconds patience, bool dry_run)
      : config_{config},
        patience_{patience},
        dry_run_{dry_run},
        exports_{config.nfs.export_paths()},
        backlog_{unbounded(), exports_, clock_, metrics_, kForEver},
        self_{config.policy.self},
        apply_loop_{io_, backlog_, clock_, config, exports_, metrics_, dry_run},
        policy_{config.policy, exports_, self_, period},
        intake_{policy_, config.syslog.rfc3164_timezone, metrics_, [this](Events events) { backlog_.add(events); }} {
    AddressFile{config.backlog, self_}.read();
    apply_loop_.client().on_local_addresses(
        [this](const nfs::LocalAddresses& ours) { self_.set_current(ours.addresses, now()); });
    stop_on_signal();
  }

  bool run(std::deque<ingest::RecordedLog>& logs) {
    connect();
    const auto start = clock_.now();
    const bool whole = read(logs);
    io_.poll();  // the signal may have ended the writer of a pipe as well
    if (stopped_) {
      progress_.clear();
      kReplayLog.error("stopped: nothing was applied");
      return false;
    }
    const double reading = seconds_since(start);
    apply();
    progress_.clear();
    summarise(reading, seconds_since(start) - reading);
    if (const auto left = backlog_.pending(); left > 0) kReplayLog.error("stopped: {} accesses are left", left);
    return whole && backlog_.pending() == 0 && !was_denied();
  }

 private:
  // All that is read is kept.
  static BacklogConfig unbounded() {
    BacklogConfig config;
    config.memory = std::numeric_limits<std::size_t>::max();
    return config;
  }

  void stop_on_signal() {
    signals_.async_wait([this](boost::system::error_code, int) {
      stopped_ = true;
      signals_.async_wait([this](boost::system::error_code, int) {
        progress_.clear();
        kReplayLog.error("stopped at once by a second signal");
        std::_Exit(EXIT_FAILURE);
      });
    });
  }

  // Somebody who is not root may set times of files although not those of the export's root.
  void connect() {
    for (std::size_t export_index = 0; export_index < exports_.size(); ++export_index) {
      nfs::await_root(io_, apply_loop_.client(), config_.nfs, export_index);
    }
    if (!dry_run_ && config_.nfs.uid == 0) atime::expect_writable(config_.nfs);
  }

  // Returns whether every log was read to its end.
  bool read(std::deque<ingest::RecordedLog>& logs) {
    bool whole = true;
    start_ = clock_.now();
    is_total_known_ = std::ranges::all_of(logs, [](const auto& log) { return log.size().has_value(); });
    for (const auto& log : logs) total_ += log.size().value_or(0);
    for (auto& log : logs) {
      try {
        const std::int64_t messages = metrics_.sum(kMessages);
        const std::int64_t malformed = metrics_.sum(kMalformed);
        read(log);
        if (is_foreign(metrics_.sum(kMessages) - messages, metrics_.sum(kMalformed) - malformed, log)) whole = false;
      } catch (const ingest::PackedLog&) {
        throw;
      } catch (const ingest::LogError& error) {
        kReplayLog.error("{}; what was read before counts", error.what());
        whole = false;
      }
      read_before_ += log.position();
    }
    return whole;
  }

  // Whether none of the messages of a log is a record.
  bool is_foreign(std::int64_t messages, std::int64_t malformed, const ingest::RecordedLog& log) {
    if (messages == 0 || malformed < messages) return false;
    progress_.clear();
    kReplayLog.error("{}: none of its {} lines is an audit record: `qatime check --record LINE` says why", log.name(),
                     messages);
    return true;
  }

  // A log that is cut off has no last message: what there is of it may look whole.
  void read(ingest::RecordedLog& log) {
    ingest::MessageStream stream{config_.syslog.max_message, ingest::Transport::tcp, intake_};
    while (!stopped_) {
      if (const auto size = log.ready(kReadWait) ? log.read(stream.writable()) : std::nullopt) {
        if (size == 0) return stream.end();
        stream.set_written(log.written());
        stream.take(*size);
      }
      io_.poll();
      if (progress_.due()) show_reading(read_before_ + log.position());
    }
  }

  void apply() {
    start_ = clock_.now();
    waiting_ = backlog_.pending();
    apply_loop_.start();
    std::size_t before = waiting_;
    auto latest = start_;  // that something got its outcome
    for (std::size_t left = waiting_; left > 0 && !stopped_ && !is_hopeless(latest); left = backlog_.pending()) {
      if (left != before) latest = clock_.now();
      before = left;
      io_.run_one();
      if (progress_.due()) show_applying();
    }
    if (backlog_.pending() == 0) return;
    apply_loop_.engine().stop_taking();
    const auto deadline = clock_.now() + kLanding;
    while (apply_loop_.engine().work() > 0 && clock_.now() < deadline) io_.run_one_until(deadline);
  }

  // Whether nothing has been done since `latest`, for too long.
  bool is_hopeless(Clock::Instant latest) {
    if (patience_ == 0ns || clock_.now() - latest < patience_) return false;
    std::string trouble;
    for (std::size_t export_index = 0; export_index < exports_.size(); ++export_index) {
      if (const auto one = apply_loop_.client().trouble(export_index)) trouble += ": " + *one;
    }
    progress_.clear();
    kReplayLog.error("nothing was done for {:.0f} s{}", std::chrono::duration<double>{patience_}.count(), trouble);
    return true;
  }

  void show_reading(std::uint64_t bytes) {
    const auto done = static_cast<double>(bytes);
    const double rate = static_cast<double>(metrics_.sum("qatime_received_messages_total")) / seconds_since(start_);
    std::string line = fmt::format("reading: {:.0f}", done / kMebi);
    if (is_total_known_) line += fmt::format(" of {:.0f}", static_cast<double>(total_) / kMebi);
    line += fmt::format(" MiB, {:.0f} records/s, {} accesses waiting", rate, backlog_.pending());
    if (is_total_known_ && bytes > 0) line += left(static_cast<double>(total_) - done, done);
    progress_.show(line);
  }

  void show_applying() {
    const auto pending = static_cast<double>(backlog_.pending());
    const double done = static_cast<double>(waiting_) - pending;
    std::string line = fmt::format("applying: {:.0f} of {} accesses done, {} applied, {:.0f}/s", done, waiting_,
                                   metrics_.sum("qatime_applied_total"), done / seconds_since(start_));
    if (done > 0) line += left(pending, done);
    progress_.show(line);
  }

  // At the pace so far.
  [[nodiscard]] std::string left(double to_do, double done) const {
    return fmt::format(", {} left", shown_duration(seconds_since(start_) * to_do / done));
  }

  void summarise(double reading, double applying) {
    const Summary summary{metrics_};
    summary.line("records", "qatime_received_messages_total");
    summary.line("  malformed", "qatime_malformed_total");
    summary.line("  ignored", "qatime_ignored_total");
    summary.line("  moves", "qatime_moves_total");
    summary.line("  removals", "qatime_removals_total");
    summary.line("  accepted", "qatime_accepted_total");
    summary.line("accepted", "qatime_accepted_total");
    summary.line("recovered", "qatime_recovered_total");
    summary.line("  coalesced", "qatime_coalesced_total");
    summary.line("  cancelled", "qatime_cancelled_total");
    summary.line("  applied", "qatime_applied_total");
    summary.line("  unchanged", "qatime_unchanged_total");
    summary.line("  failed", "qatime_failed_total");
    summary.line("  dropped", "qatime_dropped_total");
    summary.line("  pending", "qatime_pending_entries");
    summary.line("repeated", "qatime_repeated_changes_total");
    fmt::print("{:.1f} MiB read in {:.1f} s, applied in {:.1f} s, {} MiB of memory at most\n",
               static_cast<double>(read_before_) / kMebi, reading, applying, peak_memory_mebibytes());
  }

  [[nodiscard]] bool was_denied() const {
    std::int64_t denied = 0;
    metrics_.visit([&](const metrics::Registry::Sample& sample) {
      const std::string& status = sample.label.value;
      const bool is_denial = status == "acces" || status == "perm" || status == "rofs";
      if (sample.name == "qatime_failed_total" && is_denial) denied += sample.value;
    });
    return denied > 0;
  }

  const Config config_;
  const std::chrono::nanoseconds patience_;
  const bool dry_run_;
  metrics::Registry metrics_;
  SteadyClock clock_;
  Exports exports_;
  boost::asio::io_context io_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{io_.get_executor()};
  loop::SignalSet signals_{io_, SIGTERM, SIGINT};
  bool stopped_ = false;

  backlog::Local backlog_;
  ingest::SelfAddresses self_;
  ApplyLoop apply_loop_;
  ingest::Policy policy_;
  ingest::Intake intake_;

  Progress progress_;
  Clock::Instant start_{};   // of reading, then of applying
  std::uint64_t total_ = 0;  // bytes of all logs
  bool is_total_known_ = false;
  std::uint64_t read_before_ = 0;  // bytes of the logs that were read
  std::size_t waiting_ = 0;        // accesses when applying began
};

}  // namespace

bool replay(const Config& config, std::deque<ingest::RecordedLog>& logs, const Period& period,
            std::chrono::nanoseconds patience, bool dry_run) {
  return Replay{config, period, patience, dry_run}.run(logs);
}

}  // namespace qatime
