// SPDX-License-Identifier: MIT
// The progress of a command, for a person at a terminal.
#pragma once

#include <chrono>
#include <string_view>

#include "base/clock.h"

namespace qatime {

// One line on standard error, written again and again in its place and cleared at the end; nothing unless that is a
// terminal. Meanwhile log lines clear it first. One at a time, one thread.
class Progress {
 public:
  static constexpr std::chrono::milliseconds kInterval{250};

  Progress();
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // Whether there is somebody to see it and it is time for another line.
  [[nodiscard]] bool due() const noexcept;

  // Shows `line`, cut where the terminal ends.
  void show(std::string_view line);

  void clear();

 private:
  const bool visible_;
  bool shown_ = false;
  Clock::Instant next_{};
};

}  // namespace qatime
