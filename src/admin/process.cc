// SPDX-License-Identifier: MIT
//
// proc(5). Numbers of /proc/self/stat are named there from 1, the name of the program is the second and may hold
// spaces.
#include "admin/process.h"

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <system_error>

#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

namespace qatime::admin {
namespace {

// Seconds since the epoch.
double boot_time() {
  std::ifstream stat{"/proc/stat"};
  for (std::string key; stat >> key;) {
    double seconds = 0;
    if (key == "btime" && stat >> seconds) return seconds;
    stat.ignore(1 << 20, '\n');
  }
  return 0;
}

void read_stat(Process& process) {
  std::ifstream file{"/proc/self/stat"};
  std::string line;
  std::getline(file, line);
  const std::size_t name_end = line.rfind(')');
  if (name_end == std::string::npos) return;
  std::istringstream rest{line.substr(name_end + 1)};
  std::array<std::string, 25> fields;  // from 3 on
  for (std::size_t i = 3; i < fields.size() && rest >> fields.at(i); ++i) continue;
  const auto number = [&](std::size_t i) { return std::strtod(fields.at(i).c_str(), nullptr); };
  const auto ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
  process.threads = static_cast<std::uint64_t>(number(20));
  process.virtual_bytes = static_cast<std::uint64_t>(number(23));
  process.resident_bytes = static_cast<std::uint64_t>(number(24)) * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  static const double boot = boot_time();
  process.start_time = boot + number(22) / ticks;
}

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

}  // namespace

Process Process::read() {
  Process process;
  read_stat(process);
  rusage usage{};
  if (getrusage(RUSAGE_SELF, &usage) == 0) process.cpu_seconds = seconds(usage.ru_utime) + seconds(usage.ru_stime);
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) process.max_descriptors = limit.rlim_cur;
  std::error_code error;
  std::filesystem::directory_iterator at{"/proc/self/fd", error};
  for (; !error && at != std::filesystem::directory_iterator{}; at.increment(error)) ++process.open_descriptors;
  if (process.open_descriptors > 0) --process.open_descriptors;  // that of the directory
  return process;
}

}  // namespace qatime::admin
