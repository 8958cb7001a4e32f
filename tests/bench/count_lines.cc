// SPDX-License-Identifier: MIT
// The least that a receiver of records can do, to measure against: read them and find their ends.
//
//   count_lines PORT      accepts one connection on 127.0.0.1 and prints how many lines came

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char* argv[]) {
  if (argc != 2) return EXIT_FAILURE;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(std::atoi(argv[1])));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  const int on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0 || listen(listener, 1) < 0) {
    std::perror("count_lines");
    return EXIT_FAILURE;
  }
  const int connection = accept(listener, nullptr, nullptr);
  static std::array<char, 256 << 10> buffer;
  std::uint64_t lines = 0;
  for (ssize_t size = 0; (size = read(connection, buffer.data(), buffer.size())) > 0;) {
    const char* const end = buffer.data() + size;
    for (const char* at = buffer.data(); at < end; ++at, ++lines) {
      at = static_cast<const char*>(std::memchr(at, '\n', static_cast<std::size_t>(end - at)));
      if (at == nullptr) break;
    }
  }
  std::cout << lines << '\n';
}
