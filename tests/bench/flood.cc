// SPDX-License-Identifier: MIT
// Sends the lines of a log as datagrams to 127.0.0.1, at a steady rate, in as few system calls as the rate allows.
//
//   flood PORT RATE < LOG      RATE in datagrams per second; prints how many were sent, and in how many seconds

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <iterator>
#include <string>
#include <thread>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace {

constexpr std::size_t kMost = 256;  // datagrams of one sendmmsg

// Takes up to `count` lines from `at` on; returns how many it has found.
std::size_t slice(const char*& at, const char* end, std::size_t count, std::array<iovec, kMost>& lines) {
  std::size_t found = 0;
  while (found < count && at < end) {
    const char* const line_end = static_cast<const char*>(std::memchr(at, '\n', static_cast<std::size_t>(end - at)));
    lines[found++] = {const_cast<char*>(at), static_cast<std::size_t>(line_end - at)};
    at = line_end + 1;
  }
  return found;
}

}  // namespace

int main(int argc, char* argv[]) {
  if (argc != 3) return EXIT_FAILURE;
  using Clock = std::chrono::steady_clock;
  const double rate = std::atof(argv[2]);
  std::string log{std::istreambuf_iterator<char>{std::cin}, {}};
  if (log.empty() || log.back() != '\n') log += '\n';

  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(std::atoi(argv[1])));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int socket = ::socket(AF_INET, SOCK_DGRAM, 0);
  if (connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0) return EXIT_FAILURE;

  std::array<iovec, kMost> lines;
  std::array<mmsghdr, kMost> messages{};
  for (std::size_t i = 0; i < kMost; ++i) {
    messages[i].msg_hdr.msg_iov = &lines[i];
    messages[i].msg_hdr.msg_iovlen = 1;
  }

  const auto start = Clock::now();
  std::uint64_t sent = 0;
  const char* at = log.data();
  const char* const end = at + log.size();
  while (at < end) {
    const double due = std::chrono::duration<double>(Clock::now() - start).count() * rate;
    if (static_cast<double>(sent) >= due) {
      std::this_thread::sleep_for(std::chrono::microseconds{500});
      continue;
    }
    const auto owed = static_cast<std::size_t>(due - static_cast<double>(sent)) + 1;
    const std::size_t count = slice(at, end, std::min(owed, kMost), lines);
    for (std::size_t done = 0; done < count;) {
      const int now = sendmmsg(socket, &messages[done], static_cast<unsigned>(count - done), 0);
      if (now < 0) return EXIT_FAILURE;
      done += static_cast<std::size_t>(now);
    }
    sent += count;
  }
  std::cout << sent << ' ' << std::chrono::duration<double>(Clock::now() - start).count() << '\n';
}
