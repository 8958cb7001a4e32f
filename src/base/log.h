// SPDX-License-Identifier: MIT
// Log lines on standard error, as text or one JSON object each. Any thread.
//
//   kLog.warning("{}: export \"{}\" not mounted", field("server", label), field("export", target));
//
// The message is the same in both forms; in JSON its fields have keys of their own, too. No line holds a byte that
// could end it or be a terminal sequence, wherever the bytes come from; a string that is a field is escaped() besides.
// What is secret (passwords, keys) is never given to a logger: messages name keys of the configuration and files, not
// what they hold.
//
// Levels, by when to use them:
//   error    something is lost, or qatime cannot go on
//   warning  an administrator should look, qatime goes on
//   info     a change of state: started, listening, connected, suspended, resumed, stopped; and the minute's counters
//   debug    one line per connection or decision, for somebody who hunts one
#pragma once

#include <array>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>

#include <fmt/core.h>

#include "base/mutex.h"

namespace qatime::log {

enum class Level { debug, info, warning, error };

// The names that `log.level` takes: debug, info, warning, error.
[[nodiscard]] std::optional<Level> parse_level(std::string_view name) noexcept;

//   text   2026-01-27T14:12:23.955800Z warning nfs: text
//   json   {"time":"2026-01-27T14:12:23.955800Z","level":"warning","stage":"nfs","message":"text","server":"192.0.2.7"}
enum class Format : std::uint8_t { text, json };

// The names that `log.format` takes: text, json.
[[nodiscard]] std::optional<Format> parse_format(std::string_view name) noexcept;

void set_level(Level level) noexcept;
[[nodiscard]] bool enabled(Level level) noexcept;
void set_format(Format format) noexcept;
[[nodiscard]] Format format() noexcept;

// Has every line begin with `text`: kClearLine while something else is shown on the terminal.
inline constexpr const char* kClearLine = "\r\x1b[K";
void set_line_begin(const char* text);

// `bytes` for a log line or a terminal: control characters (C0, C1, DEL), what changes the direction of text or breaks
// lines in Unicode, quotes, backslashes and what is not UTF-8 as \xHH for each byte, and cut after 1,024 bytes: no file
// name can forge a line or a terminal sequence, and which bytes were meant is unambiguous.
[[nodiscard]] std::string escaped(std::string_view bytes);

// Likewise for a whole line that may quote: quotes and backslashes stay, and nothing is cut.
[[nodiscard]] std::string printable(std::string_view line);

// A value that a line shows and that has a key of its own in JSON. Borrows a string.
struct Field {
  const char* name;
  std::variant<std::string_view, std::int64_t, std::uint64_t> value;

  // As the message has it: a string escaped().
  [[nodiscard]] std::string shown() const;
};
[[nodiscard]] inline Field field(const char* name, std::string_view value) { return {name, value}; }
template <std::signed_integral Number>
[[nodiscard]] Field field(const char* name, Number value) {
  return {name, std::int64_t{value}};
}
template <std::unsigned_integral Number>
[[nodiscard]] Field field(const char* name, Number value) {
  return {name, std::uint64_t{value}};
}

// Writes one line.
void write(Level level, const char* stage, std::string_view message, std::span<const Field> fields = {});

// Lets one line of a repeated cause through per kInterval and counts the others. Any thread.
class Throttle {
 public:
  static constexpr std::chrono::seconds kInterval{10};

  // How many occurrences the line to be written now stands for, this one included; nothing if it is to be kept back.
  [[nodiscard]] std::optional<std::uint64_t> admit();

 private:
  Mutex mutex_;
  std::chrono::steady_clock::time_point next_ QATIME_GUARDED_BY(mutex_){};
  std::uint64_t count_ QATIME_GUARDED_BY(mutex_) = 0;
};

// The voice of one stage. Arguments are what fmt takes, or fields.
class Logger {
 public:
  explicit constexpr Logger(const char* stage) : stage_{stage} {}

  template <class T>
  using Shown = std::conditional_t<std::is_same_v<T, Field>, std::string, T>;
  template <class... Args>
  using Text = fmt::format_string<Shown<Args>...>;

  template <class... Args>
  void operator()(Level level, Text<Args...> text, const Args&... args) const {
    if (enabled(level)) say(level, {}, text, args...);
  }

  // With a cause: at most one line per Throttle::kInterval. It has the number of times that it stands for in the field
  // `count`, and behind the message if that is not 1. Returns whether it was the turn of one.
  template <class... Args>
  bool operator()(Level level, Throttle& cause, Text<Args...> text, const Args&... args) const {
    const auto times = cause.admit();
    if (times) repeated(level, *times, text, args...);
    return times.has_value();
  }

  // Likewise, where the arguments are dear: `times` is what the throttle admitted.
  template <class... Args>
  void repeated(Level level, std::uint64_t times, Text<Args...> text, const Args&... args) const {
    if (enabled(level)) say(level, times, text, args...);
  }

  template <class... Args>
  void error(Text<Args...> text, const Args&... args) const {
    (*this)(Level::error, text, args...);
  }
  template <class... Args>
  bool error(Throttle& cause, Text<Args...> text, const Args&... args) const {
    return (*this)(Level::error, cause, text, args...);
  }
  template <class... Args>
  void warning(Text<Args...> text, const Args&... args) const {
    (*this)(Level::warning, text, args...);
  }
  template <class... Args>
  bool warning(Throttle& cause, Text<Args...> text, const Args&... args) const {
    return (*this)(Level::warning, cause, text, args...);
  }
  template <class... Args>
  void info(Text<Args...> text, const Args&... args) const {
    (*this)(Level::info, text, args...);
  }
  template <class... Args>
  void debug(Text<Args...> text, const Args&... args) const {
    (*this)(Level::debug, text, args...);
  }

 private:
  template <class T>
  static decltype(auto) show(const T& value) {
    if constexpr (std::is_same_v<T, Field>) {
      return value.shown();
    } else {
      return (value);
    }
  }

  template <class... Args>
  void say(Level level, std::optional<std::uint64_t> times, Text<Args...> text, const Args&... args) const {
    std::string message = [&](const auto&... shown) {
      return fmt::vformat(text, fmt::make_format_args(shown...));
    }(show(args)...);
    std::array<Field, sizeof...(Args) + 1> fields{};
    std::size_t count = 0;
    const auto add = [&](const auto& value) {
      if constexpr (std::is_same_v<std::remove_cvref_t<decltype(value)>, Field>) fields[count++] = value;
    };
    (add(args), ...);
    if (times) add(field("count", *times));
    if (times.value_or(1) != 1) message += fmt::format(" ({} times)", *times);  // NOLINT(bugprone-*)
    write(level, stage_, message, std::span{fields}.first(count));
  }

  const char* stage_;
};

}  // namespace qatime::log
