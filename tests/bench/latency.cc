// SPDX-License-Identifier: MIT
// From an audit record sent to the access time set.
//
//   latency PORT DIRECTORY FILES RATE SECONDS
//
// Sends RATE records a second over one TCP connection to a daemon on 127.0.0.1:PORT, one for each of the files
// /0, /1, ... of DIRECTORY after the other, and sees by inotify when it changes there. Prints one line of
// JSON: sent, seen (with the time that was sent, before the next record of the file), p50, p99 and most in
// milliseconds.

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fstream>
#include <iostream>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <vector>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace {

using Steady = std::chrono::steady_clock;
using std::chrono::nanoseconds;

[[noreturn]] void fail(const std::string& what) { throw std::runtime_error{what + ": " + std::strerror(errno)}; }

nanoseconds now_utc() { return std::chrono::system_clock::now().time_since_epoch(); }

struct File {
  std::string path;    // on this machine
  nanoseconds sent{};  // the access time, which is when its record was sent; zero: seen
};

class Watch {
 public:
  explicit Watch(const std::string& directory, std::size_t count) : descriptor_{inotify_init1(IN_NONBLOCK)} {
    for (std::size_t number = 0; number < count; ++number) {
      files_.push_back({directory + "/" + std::to_string(number)});
      // Setting atime alone is an access to Linux, no change of attributes.
      const int watch = inotify_add_watch(descriptor_, files_.back().path.c_str(), IN_ACCESS);
      if (watch < 0) fail(files_.back().path);
      by_watch_[watch] = number;
    }
  }

  File& file(std::size_t number) { return files_[number % files_.size()]; }

  // Takes in what changed until `end`.
  void until(Steady::time_point end) {
    for (auto left = end - Steady::now(); left > left.zero(); left = end - Steady::now()) {
      const auto whole = std::chrono::duration_cast<nanoseconds>(left).count();
      const timespec limit{whole / 1'000'000'000, whole % 1'000'000'000};
      pollfd ready{descriptor_, POLLIN, 0};
      if (ppoll(&ready, 1, &limit, nullptr) > 0) take();
    }
  }

  std::vector<double> milliseconds;

 private:
  void take() {
    alignas(inotify_event) std::array<char, 1 << 16> buffer{};
    const auto got = ::read(descriptor_, buffer.data(), buffer.size());
    const nanoseconds now = now_utc();
    for (std::ptrdiff_t at = 0; at < got;) {
      inotify_event event{};
      std::memcpy(&event, buffer.data() + at, sizeof event);
      at += static_cast<std::ptrdiff_t>(sizeof event + event.len);
      if (const auto found = by_watch_.find(event.wd); found != by_watch_.end()) note(files_[found->second], now);
    }
  }

  void note(File& file, nanoseconds now) {
    struct stat found{};
    if (file.sent == file.sent.zero() || ::stat(file.path.c_str(), &found) != 0) return;
    if (std::chrono::seconds{found.st_atim.tv_sec} + nanoseconds{found.st_atim.tv_nsec} != file.sent) return;
    milliseconds.push_back(std::chrono::duration<double, std::milli>{now - file.sent}.count());
    file.sent = {};
  }

  int descriptor_;
  std::vector<File> files_;
  std::unordered_map<int, std::size_t> by_watch_;
};

int connect_to(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
  const int on = 1;
  setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (::connect(socket, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) fail("connect");
  return socket;
}

std::string record(std::size_t number, nanoseconds time) {
  const std::time_t seconds = time.count() / 1'000'000'000;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  std::array<char, 64> stamp{};
  std::array<char, 16> fraction{};
  std::strftime(stamp.data(), stamp.size(), "%Y-%m-%dT%H:%M:%S", &parts);
  std::snprintf(fraction.data(), fraction.size(), ".%09lldZ", static_cast<long long>(time.count() % 1'000'000'000));
  return std::string{"<14>1 "} + stamp.data() + fraction.data() +
         " qumulo-1 qumulo - - - 192.168.240.1,\"admin\",smb2,fs_read_data,ok,6,\"/" + std::to_string(number) +
         "\",\"\"\n";
}

void run(std::uint16_t port, const std::string& directory, std::size_t files, std::size_t rate, std::size_t seconds) {
  Watch watch{directory, files};
  const int socket = connect_to(port);
  const auto begin = Steady::now();
  const nanoseconds step{1'000'000'000 / rate};
  const std::size_t count = rate * seconds;
  for (std::size_t sent = 0; sent < count;) {
    // A cluster reports as things happen: each record in a write of its own, late ones at once.
    for (; sent < count && begin + step * sent <= Steady::now(); ++sent) {
      File& file = watch.file(sent);
      file.sent = now_utc();
      const std::string line = record(sent % files, file.sent);
      if (::send(socket, line.data(), line.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(line.size())) fail("send");
    }
    watch.until(begin + step * sent);
  }
  watch.until(Steady::now() + std::chrono::seconds{2});
  auto& all = watch.milliseconds;
  if (all.empty()) throw std::runtime_error{"no access time was seen to change"};
  std::sort(all.begin(), all.end());
  const auto at = [&](std::size_t percent) { return all[std::min(all.size() - 1, all.size() * percent / 100)]; };
  std::cout << "{\"sent\": " << count << ", \"seen\": " << all.size() << ", \"p50\": " << at(50)
            << ", \"p99\": " << at(99) << ", \"most\": " << all.back() << "}\n";
}

}  // namespace

int main(int argc, char* argv[]) try {
  if (argc != 6) throw std::runtime_error{"wrong arguments"};
  run(static_cast<std::uint16_t>(std::stoul(argv[1])), argv[2], std::stoul(argv[3]), std::stoul(argv[4]),
      std::stoul(argv[5]));
} catch (const std::exception& error) {
  std::cerr << "latency: " << error.what() << '\n';
  return EXIT_FAILURE;
}
