// SPDX-License-Identifier: MIT
// The progress of a command, for a person at a terminal or in a log.
#pragma once

#include <chrono>
#include <string_view>

#include "base/clock.h"

namespace qatime {

// On a terminal: one line on standard error that each show() replaces and the destructor clears. Log lines replace it,
// too, as long as this object lives. Elsewhere: a line every kLineInterval. At most one object at a time. One thread.
class Progress {
 public:
  static constexpr std::chrono::milliseconds kInterval{250};
  static constexpr std::chrono::seconds kLineInterval{10};

  Progress();
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // Whether it is time for another line.
  [[nodiscard]] bool due() const noexcept;

  // Shows `line`, cut at the width of the terminal.
  void show(std::string_view line);

  void clear();

 private:
  const bool is_terminal_;
  const std::chrono::milliseconds interval_;
  bool shown_ = false;
  Clock::Instant next_;
};

}  // namespace qatime
