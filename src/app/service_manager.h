// SPDX-License-Identifier: MIT
// Messages to the service manager that started qatime: sd_notify(3) and sd_watchdog_enabled(3).
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace qatime {

// Sends messages to the datagram socket of a service manager. Without one it does nothing. It ignores errors, as
// sd_notify(3) recommends. Each call waits at most 1 s if nobody reads. A value; any thread.
class Notifier {
 public:
  // `socket` is the path of an AF_UNIX socket, or '@' and its abstract name. Any other text means no service manager.
  explicit Notifier(std::string_view socket) : socket_{socket} {}

  // Returns a notifier for the socket in $NOTIFY_SOCKET.
  [[nodiscard]] static Notifier from_environment();

  // Reports that start-up or a reload is complete.
  void ready() const noexcept;

  // Describes the state of the daemon to people, in one line.
  void status(std::string_view line) const;

  // Reports that a reload begins; ready() ends it.
  void reloading() const;

  // Reports that shutdown begins.
  void stopping() const noexcept;

  // Reports that the daemon still works. Call it again within watchdog_timeout().
  void alive() const noexcept;

 private:
  void send(std::string_view message) const noexcept;

  std::string socket_;
};

// Returns how long the service manager waits for Notifier::alive() before it ends this process: $WATCHDOG_USEC, if
// $WATCHDOG_PID is this process or not set. Returns nothing if the service manager does not watch this process.
[[nodiscard]] std::optional<std::chrono::microseconds> watchdog_timeout();

}  // namespace qatime
