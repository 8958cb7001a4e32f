// SPDX-License-Identifier: MIT
// The progress of a command, for a person at a terminal.
#pragma once

#include <chrono>
#include <string_view>

#include "base/clock.h"

namespace qatime {

// One line on standard error that each show() replaces and the destructor clears. Without a terminal it does nothing.
// Log lines replace it, too, as long as this object lives. At most one object at a time. One thread.
class Progress {
 public:
  static constexpr std::chrono::milliseconds kInterval{250};

  Progress();
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // Whether standard error is a terminal and kInterval has passed since the last line.
  [[nodiscard]] bool due() const noexcept;

  // Shows `line`, cut at the width of the terminal.
  void show(std::string_view line);

  void clear();

 private:
  const bool visible_;
  bool shown_ = false;
  Clock::Instant next_{};
};

}  // namespace qatime
