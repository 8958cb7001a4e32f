// SPDX-License-Identifier: MIT
//
// Four threads: intake (sockets to backlog), apply (backlog to servers), store (backlog to disk and back) and main
// (signals, the minute's report, the service manager, HTTP). All but store have a loop and wait for nothing else, but
// that intake is held back where the disk is too slow and no memory is left.
// They share the backlog, the metrics, alerts and statistics, and our own addresses, nothing else. A shared backlog has
// a fifth, for Redis.
// The order of the members is the order of the stages; each thread is joined before anything that it uses goes away.
#include "app/daemon.h"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <fmt/core.h>
#include <pthread.h>

#include "admin/http_server.h"
#include "admin/routes.h"
#include "app/address_file.h"
#include "app/apply_loop.h"
#include "app/descriptor_budget.h"
#include "app/logger.h"
#include "app/loop.h"
#include "app/memory_budget.h"
#include "app/minute_report.h"
#include "app/service_manager.h"
#include "app/watchdog.h"
#include "backlog/local.h"
#include "backlog/store_thread.h"
#include "base/loop.h"
#include "base/path.h"
#include "ingest/intake.h"
#include "ingest/policy.h"
#include "ingest/self_addresses.h"
#include "listen/connections.h"
#include "listen/tcp_listener.h"
#include "listen/tls.h"
#include "listen/udp_listener.h"
#include "redis/shared.h"
#include "store/state_directory.h"
#include "store/store.h"
#include "version.h"

namespace qatime {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

std::string list_of(const std::vector<std::string>& names) {
  std::string list;
  for (const std::string& name : names) list.append(list.empty() ? "" : ", ").append(name);
  return list;
}

// How long what is in flight may still land after the signal to stop, or what waits be applied where nothing keeps it.
constexpr auto kDrain = 5s;
// How long the disk may then take to keep what waits.
constexpr auto kKeep = 10s;

// How long the first record may wait until the names among `nfs.servers` are looked up. TCP senders wait meanwhile, but
// of datagrams only those that fit in the kernel's buffer. Name servers that answer do so in a fraction of it.
constexpr auto kNames = 2s;

// How often the loops are asked whether they turn, at most, and how long one may be silent before it hangs.
constexpr auto kAsk = 5s;
constexpr auto kSilence = 60s;

// A thread of musl has 128 KiB of it, one of glibc as much as the main thread may have (ulimit -s).
void set_stack_of_threads(std::size_t bytes) {
  pthread_attr_t attributes;
  if (pthread_attr_init(&attributes) != 0) return;
  if (pthread_attr_setstacksize(&attributes, bytes) == 0) pthread_setattr_default_np(&attributes);
  pthread_attr_destroy(&attributes);
}

class Daemon {
 public:
  Daemon(const Config& config, const std::function<Config()>& read_again, bool dry_run)
      : config_{config},
        read_again_{read_again},
        exports_{config.nfs.export_paths()},
        self_{config.policy.self},
        backlog_{open_backlog(config, dry_run)},
        apply_loop_{apply_.io(), backlog_, clock_, config, exports_, metrics_, dry_run},
        policy_{std::make_unique<ingest::Policy>(config.policy, exports_, self_)},
        intake_stage_{*policy_, config.syslog.rfc3164_timezone, metrics_,
                      [this](Events events) { backlog_.add(events); }},
        connections_{config.syslog, intake_stage_, metrics_} {
    if (config.syslog.uses_tls()) connections_.secure(read_tls(config));
    for (const SyslogConfig::Listener& listener : config.syslog.listen) listen(listener, config.syslog);
    backlog_.on_work([this] { apply_loop_.wake(); });
    know_ourselves();
    watchdog_.watch([this](auto answer) { asio::post(intake_.io(), std::move(answer)); });
    watchdog_.watch([this](auto answer) { asio::post(apply_.io(), std::move(answer)); });
    if (config.admin.listen) open_admin(*config.admin.listen, config.admin.hosts);
    descriptors_.emplace(config);
    connections_.set_most(descriptors_->connections());
    descriptors_->warn(config.syslog.max_connections);
  }

  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  ~Daemon() {
    intake_.stop();
    apply_.stop();
  }

  void run() {
    stop_on_signal();
    reload_on_signal();
    report_every_minute();
    tell_repeated_every_second();
    if (durability_) durability_->start();
    apply_loop_.start();
    apply_.start();
    read_when_we_know_ourselves();
    ask_whether_all_loops_turn();
    if (routes_) look_every_few_seconds();
    main_.run();
    intake_.stop();
    apply_.stop();
    if (failure_) std::rethrow_exception(failure_);
    log::tell_repeated(std::chrono::steady_clock::now() + log::Throttle::kInterval);
    log_counters();
    const auto left = durability_ ? durability_->kept() : backlog_.pending();
    if (left == 0) {
      kLog.info("stopped: everything that was accepted has its outcome");
    } else if (is_kept_) {
      kLog.info("stopped: {} accesses wait in {} for the next start", left, directory_);
    } else if (!durability_) {
      kLog.error("stopped with {} accesses that no server took in time: they are lost", left);
    } else {
      kLog.error("stopped: of {} accesses those that came last are lost, {} could not be written", left, directory_);
      log::Background::flush();
      std::_Exit(EXIT_FAILURE);  // the store thread may hang in the disk
    }
  }

 private:
  void listen(const SyslogConfig::Listener& listener, const SyslogConfig& config) {
    if (listener.transport != SyslogConfig::Listener::Transport::udp) {
      tcp_.push_back(std::make_unique<ingest::TcpListener>(intake_.io(), listener, connections_));
    } else {
      udp_.push_back(std::make_unique<ingest::UdpListener>(intake_.io(), listener, config, intake_stage_, metrics_));
    }
  }

  // A dry run keeps nothing, and has nothing to do with what others share.
  backlog::Backlog& open_backlog(Config config, bool dry_run) {
    const MemoryBudget memory;
    memory.tell(config.backlog.memory);
    config.backlog.memory = memory.backlog(config.backlog.memory);
    if (dry_run) {
      local_ = std::make_unique<backlog::Local>(config.backlog, exports_, clock_, metrics_);
      return *local_;
    }
    if (config.backlog.directory.empty()) config.backlog.directory = backlog::default_directory();
    directory_ = config.backlog.directory;
    if (config.backlog.kind == BacklogConfig::Kind::redis) {
      auto shared = backlog::redis::open(config, exports_, clock_, metrics_);
      shared->share_addresses([this] { return self_.known(now()); },
                              [this](std::span<const OwnAddress> all) { self_.add_former(all, now()); });
      backlog::Backlog& made = *shared;
      durability_ = std::move(shared);
      return made;
    }
    local_ = std::make_unique<backlog::Local>(config.backlog, exports_, clock_, metrics_, backlog::HistoryLimits{},
                                              backlog::Local::Log::kept);
    durability_ = std::make_unique<backlog::StoreThread>(config.backlog, std::make_unique<backlog::Store>(directory_),
                                                         *local_, metrics_);
    return *local_;
  }

  void know_ourselves() {
    knows_last_run_ = address_file_.read();
    if (durability_) durability_->on_commit([this] { address_file_.write_if_due(); });
    apply_loop_.client().on_local_addresses([this](const nfs::LocalAddresses& ours) {
      self_.set_current(ours.addresses, now());
      if (ours.is_complete) asio::post(main_, [this] { names_timer_.cancel(); });
    });
  }

  // Our own listings are no accesses, from the first record on. Records wait for names only where no last run tells our
  // addresses, because DNS might never answer.
  void read_when_we_know_ourselves() {
    names_timer_.expires_after(knows_last_run_ ? 0s : kNames);
    names_timer_.async_wait([this](boost::system::error_code cancelled) {
      if (!cancelled && !knows_last_run_) {
        kLog.warning("names among nfs.servers are not looked up yet: until then our own listings count as accesses");
      }
      intake_.start();
      if (is_stopping_) return;
      kLog.info("ready: qatime {}", kVersion);
      service_manager_.ready();
      tell_status_every_10_seconds();
    });
  }

  void stop_on_signal() {
    signals_.async_wait([this](boost::system::error_code, int signal) {
      kLog.info("stopping on {}", signal == SIGINT ? "SIGINT" : "SIGTERM");
      is_stopping_ = true;
      names_timer_.cancel();
      service_manager_.stopping();
      signals_.async_wait([](boost::system::error_code, int) {
        kLog.error("stopped at once by a second signal: what came last may be lost");
        log::Background::flush();
        std::_Exit(EXIT_FAILURE);
      });
      stop_intake();
    });
  }

  static std::shared_ptr<const ingest::TlsSettings> read_tls(const Config& config) {
    auto settings = std::make_shared<const ingest::TlsSettings>(config);
    kLog.info("the certificate for TLS is {}", log::field("certificate", settings->describe()));
    return settings;
  }

  void reload_on_signal() {
    hangups_.async_wait([this](boost::system::error_code, int) {
      if (is_stopping_) return;
      service_manager_.reloading();
      reload();
    });
  }

  // Everything is read and made before anything is taken over.
  void reload() {
    try {
      Config next = read_again_();
      const bool is_secure = config_.syslog.uses_tls() && next.syslog.uses_tls();
      auto tls = is_secure ? read_tls(next) : nullptr;
      auto policy = std::make_unique<const ingest::Policy>(next.policy, exports_, self_);
      const log::Level before = config_.log.level;
      const ConfigChanges changes = reconfigure(config_, std::move(next));
      take_over(std::move(policy), std::move(tls), [this, changes, louder = std::min(before, config_.log.level)] {
        log::set_level(louder);
        log::set_format(config_.log.format);
        tell(changes);
        descriptors_->warn(config_.syslog.max_connections);
        log::set_level(config_.log.level);
        end_reload(reloads_);
      });
    } catch (const std::exception& error) {
      kLog.warning("SIGHUP changes nothing: {}", error.what());
      end_reload(refused_reloads_);
    }
  }

  void end_reload(metrics::Counter& result) {
    result.add();
    if (!is_stopping_) service_manager_.ready();
    reload_on_signal();
  }

  // Each thread does so between two turns of its loop: no read, and no entry, is judged by half of each. `done` is
  // called on the main thread, when all have.
  void take_over(std::unique_ptr<const ingest::Policy> policy, std::shared_ptr<const ingest::TlsSettings> tls,
                 std::function<void()> done) {
    const auto config = std::make_shared<const Config>(config_);
    asio::post(intake_.io(),
               [this, config, policy = std::move(policy), tls = std::move(tls), done = std::move(done)]() mutable {
                 self_.configure(config->policy.self);
                 intake_stage_.reconfigure(*policy, config->syslog.rfc3164_timezone);
                 policy_ = std::move(policy);
                 connections_.reconfigure(config->syslog);
                 if (tls) connections_.secure(std::move(tls));
                 for (auto& listener : udp_) listener->reconfigure(config->syslog);
                 asio::post(apply_.io(), [this, config, done = std::move(done)]() mutable {
                   apply_loop_.reconfigure(*config);
                   backlog_.allow_for(config->nfs.timeout);
                   asio::post(main_, std::move(done));
                 });
               });
  }

  static void tell(const ConfigChanges& changes) {
    kLog.info("SIGHUP: read again, {}{}",
              changes.in_force.empty() ? "no key has changed" : "changed from now on: ", list_of(changes.in_force));
    if (changes.at_restart.empty()) return;
    kLog.warning("SIGHUP: changed, but only a restart will take it over: {}", list_of(changes.at_restart));
  }

  metrics::Counter& reload_counter(const char* result) {
    return metrics_.counter("qatime_reloads_total", "Configurations read at SIGHUP, by what became of them.",
                            {"result", result});
  }

  void stop_intake() {
    asio::post(intake_.io(), [this] {
      for (auto& listener : tcp_) listener->close();
      connections_.drain_and_close();
      for (auto& listener : udp_) listener->drain_and_close();
      asio::post(apply_.io(), [this] {
        if (durability_) apply_loop_.engine().stop_taking();
        asio::post(main_, [this] { drain(std::chrono::steady_clock::now() + kDrain); });
      });
    });
  }

  // Accesses in a log need not wait for the servers.
  void drain(std::chrono::steady_clock::time_point deadline) {
    const auto left = durability_ ? backlog_.in_flight() : backlog_.pending();
    if (left == 0 || std::chrono::steady_clock::now() >= deadline) {
      if (durability_) durability_->begin_stop(kKeep);
      keep();
      return;
    }
    main_timer_.expires_after(10ms);
    main_timer_.async_wait([this, deadline](boost::system::error_code) { drain(deadline); });
  }

  // Signals and the service manager are answered while the disk takes its time.
  void keep() {
    const std::optional<bool> is_kept = durability_ ? durability_->outcome() : false;
    if (is_kept) {
      is_kept_ = *is_kept;
      main_.stop();
      return;
    }
    main_timer_.expires_after(10ms);
    main_timer_.async_wait([this](boost::system::error_code) { keep(); });
  }

  // Repeated causes that have not come again meanwhile.
  void tell_repeated_every_second() {
    second_timer_.expires_after(1s);
    second_timer_.async_wait([this](boost::system::error_code) {
      log::tell_repeated();
      tell_repeated_every_second();
    });
  }

  void report_every_minute() {
    minute_timer_.expires_after(1min);
    minute_timer_.async_wait([this](boost::system::error_code) {
      oldest_.set(backlog_.oldest().count());
      minute_report_.write();
      report_every_minute();
    });
  }

  void log_counters() {
    oldest_.set(backlog_.oldest().count());
    std::string line;
    metrics_.visit([&](const metrics::Registry::Sample& sample) {
      if (sample.histogram != nullptr) return;
      std::string labels;
      for (const metrics::Label* const label : {&sample.label, &sample.second}) {
        if (label->name.empty()) continue;
        labels += fmt::format("{}{}=\"{}\"", labels.empty() ? "" : ",", label->name, label->value);
      }
      line += fmt::format("{}{}{} {}", line.empty() ? "" : ", ", sample.name,
                          labels.empty() ? "" : fmt::format("{{{}}}", labels), sample.value);
    });
    kLog.info("counters: {}", line);
  }

  void tell_status_every_10_seconds() {
    service_manager_.status(
        fmt::format("{} pending, {} applied", backlog_.pending(), metrics_.sum("qatime_applied_total")));
    status_timer_.expires_after(10s);
    status_timer_.async_wait([this](boost::system::error_code) { tell_status_every_10_seconds(); });
  }

  void ask_whether_all_loops_turn() {
    const auto timeout = watchdog_timeout();
    if (watchdog_.all_turn()) {
      turned_ = std::chrono::steady_clock::now();
      if (timeout) service_manager_.alive();
    }
    watchdog_timer_.expires_after(timeout ? std::min<std::chrono::microseconds>(*timeout / 4, kAsk) : kAsk);
    watchdog_timer_.async_wait([this](boost::system::error_code) { ask_whether_all_loops_turn(); });
  }

  void look_every_few_seconds() {
    routes_->sample();
    look_timer_.expires_after(admin::History::kInterval);
    look_timer_.async_wait([this](boost::system::error_code) { look_every_few_seconds(); });
  }

  void open_admin(const AdminConfig::ListenAddress& listener, const std::vector<std::string>& hosts) {
    admin::Health health;
    health.refresh = [this] { oldest_.set(backlog_.oldest().count()); };
    health.not_alive = [this] {
      const bool hangs = std::chrono::steady_clock::now() - turned_ > kSilence;
      return hangs ? std::vector<std::string>{"a thread hangs"} : std::vector<std::string>{};
    };
    health.not_ready = [this] {
      return is_stopping_ ? std::vector<std::string>{"it is stopping"} : std::vector<std::string>{};
    };
    routes_ = std::make_unique<admin::Routes>(metrics_, std::move(health));
    server_ = std::make_unique<admin::HttpServer>(
        main_, listener, hosts, [this](std::string_view path) { return routes_->answer(path); },
        admin::HttpServer::Limits{});
  }

  // One of the loops ended with an exception: so does run().
  void fail(std::exception_ptr failure) {
    asio::post(main_, [this, failure = std::move(failure)] {
      failure_ = failure;
      main_.stop();
    });
  }

  Config config_;  // in force
  const std::function<Config()> read_again_;
  metrics::Registry metrics_;
  metrics::Gauge& oldest_ = metrics_.gauge("qatime_pending_oldest_seconds", "Age of the oldest entry that is pending.");
  metrics::Counter& reloads_ = reload_counter("taken");
  metrics::Counter& refused_reloads_ = reload_counter("refused");
  SteadyClock clock_;
  Exports exports_;
  asio::io_context main_{1};
  std::exception_ptr failure_;
  Notifier service_manager_ = Notifier::from_environment();
  Watchdog watchdog_;
  std::chrono::steady_clock::time_point turned_ = std::chrono::steady_clock::now();  // when all loops last did

  ingest::SelfAddresses self_;
  std::string directory_;
  AddressFile address_file_{config_.backlog, self_};
  bool knows_last_run_ = false;
  std::unique_ptr<backlog::Local> local_;
  std::unique_ptr<backlog::Durability> durability_;
  backlog::Backlog& backlog_;
  bool is_stopping_ = false;
  bool is_kept_ = false;

  Loop apply_{"apply", [this](std::exception_ptr failure) { fail(std::move(failure)); }};
  ApplyLoop apply_loop_;

  Loop intake_{"intake", [this](std::exception_ptr failure) { fail(std::move(failure)); }};
  std::unique_ptr<const ingest::Policy> policy_;
  ingest::Intake intake_stage_;
  ingest::Connections connections_;
  std::optional<DescriptorBudget> descriptors_;
  std::vector<std::unique_ptr<ingest::TcpListener>> tcp_;
  std::vector<std::unique_ptr<ingest::UdpListener>> udp_;

  loop::SignalSet signals_{main_, SIGTERM, SIGINT};
  loop::SignalSet hangups_{main_, SIGHUP};
  loop::Timer main_timer_{main_};
  loop::Timer names_timer_{main_};
  loop::Timer second_timer_{main_};
  loop::Timer minute_timer_{main_};
  MinuteReport minute_report_{metrics_};
  loop::Timer status_timer_{main_};
  loop::Timer watchdog_timer_{main_};
  loop::Timer look_timer_{main_};
  std::unique_ptr<admin::Routes> routes_;
  std::unique_ptr<admin::HttpServer> server_;
};

}  // namespace

void run_daemon(const Config& config, const std::function<Config()>& read_again, bool dry_run) {
  raise_descriptor_limit();
  set_stack_of_threads(ApplyLoop::kStack);
  const log::Background background;
  Daemon{config, read_again, dry_run}.run();
}

}  // namespace qatime
