// SPDX-License-Identifier: MIT
#include "app/service_manager.h"

#include <algorithm>
#include <cassert>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

namespace qatime {
namespace {

std::string_view environment(const char* name) noexcept {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string_view{} : value;
}

std::optional<std::uint64_t> to_number(std::string_view text) noexcept {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

struct SocketAddress {
  sockaddr_un name{};
  socklen_t length = 0;
};

std::optional<SocketAddress> notify_address(std::string_view socket) noexcept {
  SocketAddress address;
  if (!socket.starts_with('/') && !socket.starts_with('@')) return std::nullopt;
  if (socket.size() >= sizeof address.name.sun_path) return std::nullopt;
  address.name.sun_family = AF_UNIX;
  std::ranges::copy(socket, address.name.sun_path);
  const bool abstract = socket.front() == '@';
  if (abstract) address.name.sun_path[0] = '\0';
  // An abstract name is as long as it is (unix(7)); a path ends with a NUL.
  address.length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + socket.size() + (abstract ? 0 : 1));
  return address;
}

}  // namespace

Notifier Notifier::from_environment() { return Notifier{environment("NOTIFY_SOCKET")}; }

void Notifier::ready() const noexcept { send("READY=1"); }

void Notifier::status(std::string_view line) const {
  assert(line.find('\n') == std::string_view::npos);  // would be another assignment
  send(std::string{"STATUS="}.append(line));
}

// systemd from version 253 on wants the time of CLOCK_MONOTONIC, which tells it which ready() belongs to it.
void Notifier::reloading() const {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  send("RELOADING=1\nMONOTONIC_USEC=" +
       std::to_string(std::chrono::duration_cast<std::chrono::microseconds>(now).count()));
}

void Notifier::stopping() const noexcept { send("STOPPING=1"); }

void Notifier::alive() const noexcept { send("WATCHDOG=1"); }

void Notifier::send(std::string_view message) const noexcept {
  const auto address = notify_address(socket_);
  if (!address) return;
  const int descriptor = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return;
  constexpr timeval kPatience{.tv_sec = 1, .tv_usec = 0};
  setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &kPatience, sizeof kPatience);
  sendto(descriptor, message.data(), message.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&address->name),
         address->length);
  close(descriptor);
}

std::optional<std::chrono::microseconds> watchdog_timeout() {
  const std::string_view process = environment("WATCHDOG_PID");
  if (!process.empty() && to_number(process) != static_cast<std::uint64_t>(getpid())) return std::nullopt;
  const auto timeout = to_number(environment("WATCHDOG_USEC"));
  if (!timeout || *timeout == 0 || *timeout > INT64_MAX / 1000) return std::nullopt;  // what nanoseconds can hold
  return std::chrono::microseconds{static_cast<std::int64_t>(*timeout)};
}

}  // namespace qatime
