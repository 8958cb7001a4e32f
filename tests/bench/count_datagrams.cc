// SPDX-License-Identifier: MIT
// The least that a receiver of datagrams can do, to measure against: recvmmsg, and nothing with what came.
//
//   count_datagrams PORT BUFFER     on 127.0.0.1, with a receive buffer of BUFFER bytes; at SIGTERM it takes what is
//                                   there and prints how many came and how many the kernel dropped

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <memory>

#include <arpa/inet.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace {

constexpr std::size_t kBatch = 64;
constexpr std::size_t kSize = 8 << 10;

volatile std::sig_atomic_t stopped = 0;

void stop(int) { stopped = 1; }

std::uint32_t drops(int socket) {
  std::array<std::uint32_t, SK_MEMINFO_VARS> info{};
  socklen_t size = sizeof info;
  getsockopt(socket, SOL_SOCKET, SO_MEMINFO, info.data(), &size);
  return info[SK_MEMINFO_DROPS];
}

}  // namespace

int main(int argc, char* argv[]) {
  if (argc != 3) return EXIT_FAILURE;
  struct sigaction action{};
  action.sa_handler = stop;  // without SA_RESTART: recvmmsg is to end
  sigaction(SIGTERM, &action, nullptr);

  const int socket = ::socket(AF_INET, SOCK_DGRAM, 0);
  const int buffer = std::atoi(argv[2]);
  setsockopt(socket, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
  // A signal that comes just before the call is seen after this time.
  const timeval patience{.tv_sec = 0, .tv_usec = 100'000};
  setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(std::atoi(argv[1])));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0) {
    std::perror("count_datagrams");
    return EXIT_FAILURE;
  }

  const auto storage = std::make_unique<char[]>(kBatch * kSize);
  std::array<iovec, kBatch> pieces;
  std::array<mmsghdr, kBatch> messages{};
  for (std::size_t i = 0; i < kBatch; ++i) {
    pieces[i] = {storage.get() + i * kSize, kSize};
    messages[i].msg_hdr.msg_iov = &pieces[i];
    messages[i].msg_hdr.msg_iovlen = 1;
  }
  std::uint64_t count = 0;
  for (;;) {
    const int flags = stopped != 0 ? MSG_DONTWAIT : MSG_WAITFORONE;
    const int received = recvmmsg(socket, messages.data(), kBatch, flags, nullptr);
    if (received > 0) count += static_cast<std::uint64_t>(received);
    if (received < 0 && stopped != 0 && errno != EINTR) break;
  }
  std::cout << count << ' ' << drops(socket) << '\n';
}
