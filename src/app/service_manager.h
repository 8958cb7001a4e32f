// SPDX-License-Identifier: MIT
// Messages to the service manager that started qatime: sd_notify(3) and sd_watchdog_enabled(3).
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace qatime {

// Sends messages to the datagram socket of a service manager; without one it does nothing. A message that cannot be
// delivered is lost, as sd_notify(3) recommends: the service manager acts on what it gets. Each waits for 1 s at most
// where nobody reads. A value; any thread.
class Notifier {
 public:
  // `socket` is the path of an AF_UNIX socket, or '@' and its abstract name; anything else is no service manager.
  explicit Notifier(std::string_view socket) : socket_{socket} {}

  // The service manager that $NOTIFY_SOCKET names.
  [[nodiscard]] static Notifier from_environment();

  // Start-up is complete.
  void ready() const noexcept;

  // What a person should know about the state of the daemon; one line.
  void status(std::string_view line) const;

  // The configuration is read again; ready() ends it.
  void reloading() const;

  // Shutdown begins.
  void stopping() const noexcept;

  // The daemon still works. Expected within watchdog_timeout() of the last time.
  void alive() const noexcept;

 private:
  void send(std::string_view message) const noexcept;

  std::string socket_;
};

// How long the service manager waits for Notifier::alive() before it ends this process: $WATCHDOG_USEC, if
// $WATCHDOG_PID is this process or not set. Nothing if it does not wait for it.
[[nodiscard]] std::optional<std::chrono::microseconds> watchdog_timeout();

}  // namespace qatime
