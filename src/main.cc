// SPDX-License-Identifier: MIT
#include <cerrno>
#include <cstdio>
#include <exception>
#include <string>
#include <system_error>
#include <vector>

#include <CLI/CLI.hpp>
#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include "base/log.h"
#include "commands/commands.h"

namespace {

using namespace qatime::commands;

// CLI11's templates for fields of any type would take longer to compile than all that is here.
CLI::Option* add_texts(CLI::App& command, const char* name, std::vector<std::string>& field, const char* what) {
  const auto take = [&field](const CLI::results_t& values) {
    field = values;
    return true;
  };
  return command.add_option(name, take, what)->type_name("TEXT")->expected(CLI::detail::expected_max_vector_size);
}

template <class Text>
CLI::Option* add_text(CLI::App& command, const char* name, Text& field, const char* what) {
  const auto take = [&field](const CLI::results_t& values) {
    field = values.back();
    return true;
  };
  return command.add_option(name, take, what)->type_name("TEXT");
}

CLI::Option* add_flag(CLI::App& command, const char* name, bool& field, const char* what) {
  return command.add_flag_callback(name, [&field] { field = true; }, what);
}

CLI::App* add(CLI::App& app, const char* name, const char* what) { return app.add_subcommand(name, what); }

CLI::App* add(CLI::App& app, const char* name, const char* what, ConfigSource& config) {
  CLI::App* command = add(app, name, what);
  add_text(*command, "-c,--config", config.file, "configuration file (default: /etc/qatime/qatime.toml, if it exists)")
      ->type_name("FILE");
  add_texts(*command, "--set", config.settings, "a key and its value, instead of what the file says")
      ->type_name("KEY=VALUE")
      ->take_all()
      ->expected(1)
      ->allow_extra_args(false);  // the words behind the value are paths
  return command;
}

// Some supervisors start a program with these closed. The next file or socket would be one of them, and get the log.
void open_closed_descriptors() {
  for (const int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(descriptor, F_GETFD) >= 0 || open("/dev/null", O_RDWR) == descriptor) continue;
    throw std::system_error{errno, std::generic_category(), "descriptors 0 to 2 must be open: cannot open /dev/null"};
  }
}

int dispatch(int argc, char** argv) {
  CLI::App app{"qatime keeps NFS access times true on a Qumulo cluster, from its audit stream.", "qatime"};
  app.require_subcommand(1);
  app.option_defaults()->disable_flag_override();  // else --dry-run=-1 would be none
  int status = 0;

  RunOptions run_options;
  CLI::App* run_command = add(app, "run", "Run the daemon in the foreground", run_options.config);
  add_flag(*run_command, "--dry-run", run_options.dry_run, "decide and count, but set nothing");
  run_command->callback([&] { status = run(run_options); });

  CheckOptions check_options;
  CLI::App* check_command = add(app, "check", "Check the configuration", check_options.config);
  add_flag(*check_command, "--connect", check_options.connect,
           "mount every export of every server and write the root's own atime back");
  add_text(*check_command, "--record", check_options.record, "say what would become of this line")->type_name("LINE");
  check_command->callback([&] { status = check(check_options); });

  SendOptions send_options;
  CLI::App* send_command = add(app, "send", "Send audit records, made or recorded");
  add_text(*send_command, "--to", send_options.to, "tcp://HOST:PORT or udp://HOST:PORT")->required();
  add_text(*send_command, "--rate", send_options.rate, "records per second (default: no limit)")->type_name("N");
  add_text(*send_command, "--count", send_options.count, "records (default: one for each path or line)")
      ->type_name("N");
  add_text(*send_command, "--op", send_options.operation, "operation")->default_str(send_options.operation);
  add_text(*send_command, "--time", send_options.time, "time of the access, RFC 3339 (default: now)");
  add_text(*send_command, "--file", send_options.file, "recorded lines to send; - for standard input");
  add_texts(*send_command, "PATH", send_options.paths, "paths that were accessed; a directory ends in /");
  send_command->callback([&] { status = send(send_options); });

  ReplayOptions replay_options;
  CLI::App* replay_command = add(app, "replay", "Apply recorded audit logs", replay_options.config);
  add_flag(*replay_command, "--dry-run", replay_options.dry_run, "decide and count, but set nothing");
  add_text(*replay_command, "--since", replay_options.since, "ignore records before this time, RFC 3339");
  add_text(*replay_command, "--until", replay_options.until, "ignore records of this time and later, RFC 3339");
  add_text(*replay_command, "--patience", replay_options.patience,
           "end when nothing was done for so long, like 10m (the default); 0s: never")
      ->type_name("TIME");
  add_texts(*replay_command, "LOG", replay_options.logs, "plain or gzip; - for standard input")->required();
  replay_command->callback([&] { status = replay(replay_options); });

  StatOptions stat_options;
  CLI::App* stat_command = add(app, "stat", "Print the times of paths", stat_options.config);
  add_texts(*stat_command, "PATH", stat_options.paths, "")->required();
  stat_command->callback([&] { status = qatime::commands::stat(stat_options); });

  TouchOptions touch_options;
  CLI::App* touch_command = add(app, "touch", "Set the atime of paths", touch_options.config);
  add_text(*touch_command, "--time", touch_options.time, "RFC 3339 (default: now)");
  add_flag(*touch_command, "--force", touch_options.force, "also to an earlier time than the server has");
  add_texts(*touch_command, "PATH", touch_options.paths, "")->required();
  touch_command->callback([&] { status = touch(touch_options); });

  StatusOptions status_options;
  CLI::App* status_command = add(app, "status", "Show what the daemon does; exit status 1 unless it works");
  add_text(*status_command, "--admin", status_options.url, "where it answers (default: admin.listen of this machine)")
      ->type_name("URL");
  auto* const watch_flag = add_flag(*status_command, "--watch", status_options.watch, "show it again every 2 s");
  auto* const json_flag = add_flag(*status_command, "--json", status_options.as_json, "print /status.json as it is");
  add_flag(*status_command, "--ready", status_options.ready, "say only whether records may be sent to it")
      ->excludes(watch_flag)
      ->excludes(json_flag);
  json_flag->excludes(watch_flag);
  status_command->callback([&] { status = qatime::commands::status(status_options); });

  add(app, "version", "Print the version")->callback([&] { status = version(); });

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  return status;
}

// A reader of JSON reads nothing else.
int fail(const std::exception& error, int status) {
  if (qatime::log::format() == qatime::log::Format::json) {
    qatime::log::Logger{"main"}.error("{}", error.what());
  } else {
    qatime::log::write_plain(fmt::format("qatime: {}\n", qatime::log::printable(error.what())));
  }
  return status;
}

// A reader of half an output must not take it for the whole.
int finish(int status) {
  errno = 0;
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return status;
  return fail(std::system_error{errno, std::generic_category(), "standard output cannot be written"}, 1);
}

}  // namespace

int main(int argc, char** argv) try {
  open_closed_descriptors();
  qatime::log::detect_journal();
  return finish(dispatch(argc, argv));
} catch (const qatime::ConfigError& error) {
  return fail(error, 2);
} catch (const UsageError& error) {
  return fail(error, 2);
} catch (const std::exception& error) {
  return fail(error, 1);
}
