// SPDX-License-Identifier: MIT
// Log lines on standard error, as text or one JSON object each. Any thread.
//
//   kLog.warning("{}: export \"{}\" not mounted", field("server", label), field("export", target));
//
// Both forms have the same message. In JSON, its fields also have keys of their own.
// Every line is printable(), so no file name or message can forge a line or send a terminal sequence. A string given as
// a field is escaped() as well. Callers log no secret: a message names the configuration key or the file of a password
// or private key, never its content.
//
// Levels, by when to use them:
//   error    something is lost, or qatime cannot go on
//   warning  an administrator should look, qatime goes on
//   info     a change of state: started, listening, connected, suspended, resumed, stopped; and the minute's report
//   debug    one line per connection or decision, to trace a single one
#pragma once

#include <array>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
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

// If standard error leads to the journal, as $JOURNAL_STREAM says (systemd.exec(5)), each line begins with its priority
// (sd-daemon(3)), and one of text has no time.
void detect_journal() noexcept;

// Puts `text` before every line. Progress uses kClearLine, so that a log line replaces its line on the terminal.
inline constexpr const char* kClearLine = "\r\x1b[K";
void set_line_begin(const char* text);

// Returns `bytes` made safe for a log line or a terminal, and unambiguous. Writes as \xHH for each byte:
//   - control characters (C0, C1, DEL)
//   - Unicode characters that change the direction of text, break a line or cannot be seen (Cf, Zl and Zp)
//   - quotes, backslashes, and bytes that are not UTF-8
// Cuts `bytes` after 1,024 and then appends "...".
[[nodiscard]] std::string escaped(std::string_view bytes);

// Like escaped(), for a whole line: keeps quotes and backslashes, and cuts nothing.
[[nodiscard]] std::string printable(std::string_view line);

// A value in the message that also has a key of its own in JSON. Borrows a string.
struct Field {
  const char* name;
  std::variant<std::string_view, std::int64_t, std::uint64_t> value;

  // Returns the value as the message shows it: a string escaped().
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

// Writes one line. `stage` names the part of qatime that writes it: mostly a folder of src/, like "nfs". A line that
// standard error does not take is lost.
void write(Level level, const char* stage, std::string_view message, std::span<const Field> fields = {});

// Writes text to standard error as it is, or as much of it as is taken.
void write_plain(std::string_view text);

// Writes lines by a thread of its own while it lives, so that nobody waits for the reader of standard error. If kLines
// wait, the oldest is lost. How many were lost is said when the reader goes on. One object at a time.
class Background {
 public:
  static constexpr std::size_t kLines = 4096;

  Background();
  // Waits for the lines, a second at most.
  ~Background();
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;

  // Returns when all lines so far are written, after a second at the latest.
  static void flush();
};

// Admits one line per kInterval for a repeated cause, and counts the others. Any thread.
class Throttle {
 public:
  static constexpr std::chrono::seconds kInterval{10};

  Throttle();
  ~Throttle();
  Throttle(const Throttle&) = delete;
  Throttle& operator=(const Throttle&) = delete;

  // Counts an occurrence. Returns how many occurrences the next line stands for, this one included; nothing if no line
  // is due.
  [[nodiscard]] std::optional<std::uint64_t> admit();

  // Keeps a line that was admitted, for tell().
  void keep(Level level, const char* stage, std::string_view message, std::span<const Field> fields);

  // Writes the line kept once more, with the number of occurrences since then, if there are any and its interval has
  // ended at `now`.
  void tell(std::chrono::steady_clock::time_point now);

 private:
  struct KeptLine;

  Mutex mutex_;
  std::chrono::steady_clock::time_point next_ QATIME_GUARDED_BY(mutex_){};
  std::uint64_t count_ QATIME_GUARDED_BY(mutex_) = 0;
  std::unique_ptr<KeptLine> line_ QATIME_GUARDED_BY(mutex_);
};

// Calls tell() of each Throttle. Call it every second or so, and at the end with a later time.
void tell_repeated(std::chrono::steady_clock::time_point now = std::chrono::steady_clock::now());

// Writes the lines of one stage. Arguments are those of fmt, or fields.
class Logger {
 public:
  explicit constexpr Logger(const char* stage) : stage_{stage} {}

  template <class T>
  using Shown = std::conditional_t<std::is_same_v<T, Field>, std::string, T>;
  template <class... Args>
  using Text = fmt::format_string<Shown<Args>...>;

  template <class... Args>
  void operator()(Level level, Text<Args...> text, const Args&... args) const {
    if (enabled(level)) say(level, Repetition{}, text, args...);
  }

  // Writes at most one line per Throttle::kInterval for `cause`. The field `count` is the number of occurrences that it
  // stands for; the message ends with it unless it is 1. Returns whether a line was due.
  template <class... Args>
  bool operator()(Level level, Throttle& cause, Text<Args...> text, const Args&... args) const {
    const auto times = cause.admit();
    if (times) repeated(level, cause, *times, text, args...);
    return times.has_value();
  }

  // Like the above, where computing the arguments is expensive: call it only if `cause.admit()` returned `times`.
  template <class... Args>
  void repeated(Level level, Throttle& cause, std::uint64_t times, Text<Args...> text, const Args&... args) const {
    if (enabled(level)) say(level, Repetition{&cause, times}, text, args...);
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
  struct Repetition {
    Throttle* cause = nullptr;
    std::uint64_t times = 1;
  };

  template <class T>
  static decltype(auto) show(const T& value) {
    if constexpr (std::is_same_v<T, Field>) {
      return value.shown();
    } else {
      return (value);
    }
  }

  template <class... Args>
  void say(Level level, Repetition repetition, Text<Args...> text, const Args&... args) const {
    std::string message = [&](const auto&... shown) {
      return fmt::vformat(text, fmt::make_format_args(shown...));
    }(show(args)...);
    std::array<Field, sizeof...(Args) + 1> fields{};
    std::size_t count = 0;
    const auto add = [&](const auto& value) {
      if constexpr (std::is_same_v<std::remove_cvref_t<decltype(value)>, Field>) fields[count++] = value;
    };
    (add(args), ...);
    if (repetition.cause != nullptr) {
      repetition.cause->keep(level, stage_, message, std::span{fields}.first(count));
      add(field("count", repetition.times));
      if (repetition.times != 1) message += fmt::format(" ({} times)", repetition.times);
    }
    write(level, stage_, message, std::span{fields}.first(count));
  }

  const char* stage_;
};

}  // namespace qatime::log
