// SPDX-License-Identifier: MIT
// Log lines on standard error. Any thread.
//
// Levels, by when to use them:
//   error    something is lost, or qatime cannot go on
//   warning  an administrator should look, qatime goes on
//   info     a change of state: started, listening, connected, suspended, resumed, stopped; and the minute's counters
//   debug    one line per connection or decision, for somebody who hunts one
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/core.h>

namespace qatime::log {

enum class Level { debug, info, warning, error };

// The names that `log.level` takes: debug, info, warning, error.
[[nodiscard]] std::optional<Level> parse_level(std::string_view name) noexcept;

void set_level(Level level) noexcept;
[[nodiscard]] bool enabled(Level level) noexcept;
void write(Level level, const char* stage, std::string_view message);

// Has every line begin with `text`: kClearLine while something else is shown on the terminal.
inline constexpr const char* kClearLine = "\r\x1b[K";
void set_line_begin(const char* text);

// `bytes` for a log line or a terminal: control characters, quotes, backslashes and what is not UTF-8 as \xHH, and
// cut after 1,024 bytes, so that no file name can forge a line or a terminal sequence.
[[nodiscard]] std::string escaped(std::string_view bytes);

// The voice of one stage.
class Logger {
 public:
  explicit constexpr Logger(const char* stage) : stage_{stage} {}

  template <class... Args>
  void operator()(Level level, fmt::format_string<Args...> format, Args&&... args) const {
    if (enabled(level)) write(level, stage_, fmt::format(format, std::forward<Args>(args)...));
  }
  template <class... Args>
  void error(fmt::format_string<Args...> format, Args&&... args) const {
    (*this)(Level::error, format, std::forward<Args>(args)...);
  }
  template <class... Args>
  void warning(fmt::format_string<Args...> format, Args&&... args) const {
    (*this)(Level::warning, format, std::forward<Args>(args)...);
  }
  template <class... Args>
  void info(fmt::format_string<Args...> format, Args&&... args) const {
    (*this)(Level::info, format, std::forward<Args>(args)...);
  }
  template <class... Args>
  void debug(fmt::format_string<Args...> format, Args&&... args) const {
    (*this)(Level::debug, format, std::forward<Args>(args)...);
  }

 private:
  const char* stage_;
};

// Lets one line of a repeated cause through per 10 s and counts the others. Any thread.
//
//   if (auto times = throttle_.admit()) log.warning("... ({} times)", *times);
class Throttle {
 public:
  // How many occurrences the line to be written now stands for, this one included; nothing if it is to be kept back.
  [[nodiscard]] std::optional<std::uint64_t> admit();

 private:
  std::mutex mutex_;
  // guarded by mutex_:
  std::chrono::steady_clock::time_point next_{};
  std::uint64_t count_ = 0;
};

}  // namespace qatime::log
