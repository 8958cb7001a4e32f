// SPDX-License-Identifier: MIT
#include "base/log.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <spdlog/details/log_msg.h>
#include <spdlog/sinks/sink.h>
#include <utf8proc.h>

#include "base/timestamp.h"

namespace qatime::log {
namespace {

struct LevelName {
  Level level;
  std::string_view text;
  spdlog::level::level_enum spdlog;
};

constexpr std::array kNames{
    LevelName{Level::debug, "debug", spdlog::level::debug},
    LevelName{Level::info, "info", spdlog::level::info},
    LevelName{Level::warning, "warning", spdlog::level::warn},
    LevelName{Level::error, "error", spdlog::level::err},
};

spdlog::level::level_enum to_spdlog(Level level) noexcept { return kNames.at(static_cast<std::size_t>(level)).spdlog; }

// Writes each line to standard error at once. spdlog's logger and sink would format again what comes formatted, and
// their patterns take long to compile.
class StandardError final : public spdlog::sinks::sink {
 public:
  void log(const spdlog::details::log_msg& message) override {
    const MutexLock lock{mutex_};
    line_.assign(begin_);
    line_.append(message.payload.data(), message.payload.size()).append(1, '\n');
    (void)std::fwrite(line_.data(), 1, line_.size(), stderr);
    (void)std::fflush(stderr);
  }

  void flush() override {}

  void set_begin(const char* text) {
    const MutexLock lock{mutex_};
    begin_ = text;
  }

  void set_pattern(const std::string& /*unused*/) override {}
  void set_formatter(std::unique_ptr<spdlog::formatter> /*unused*/) override {}

 private:
  Mutex mutex_;
  std::string begin_ QATIME_GUARDED_BY(mutex_);  // of each line
  std::string line_ QATIME_GUARDED_BY(mutex_);   // keeps its memory from line to line
};

std::atomic<Format>& current_format() noexcept {
  static std::atomic<Format> instance{Format::text};
  return instance;
}

StandardError& sink() {
  static StandardError instance;
  return instance;
}

// Whether a terminal, a viewer or a reader might take it for something else than a character of a name, or not see it:
// controls, separators of lines and paragraphs, and formats, like marks of direction, the byte order mark and tags.
bool is_treacherous(utf8proc_int32_t code) noexcept {
  switch (utf8proc_category(code)) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
      return true;
    default:
      return false;
  }
}

std::string escape(std::string_view bytes, std::string_view also) {
  std::string text;
  text.reserve(bytes.size());
  while (!bytes.empty()) {
    utf8proc_int32_t code = 0;
    const auto* const begin = reinterpret_cast<const utf8proc_uint8_t*>(bytes.data());
    const utf8proc_ssize_t length = utf8proc_iterate(begin, std::ssize(bytes), &code);
    const std::string_view character = bytes.substr(0, length > 0 ? static_cast<std::size_t>(length) : 1);
    if (length > 0 && !is_treacherous(code) && also.find(character) == also.npos) {
      text += character;
    } else {
      for (const char byte : character) text += fmt::format("\\x{:02x}", static_cast<unsigned char>(byte));
    }
    bytes.remove_prefix(character.size());
  }
  return text;
}

// Microseconds do for a line.
std::string time_of_line() {
  std::string time = format_rfc3339(now());
  constexpr std::size_t kMicroseconds = 26;
  return time.replace(kMicroseconds, 3, "");
}

std::string json_line(Level level, const char* stage, std::string_view message, std::span<const Field> fields) {
  boost::json::object line{{"time", time_of_line()},
                           {"level", kNames.at(static_cast<std::size_t>(level)).text},
                           {"stage", stage},
                           {"message", printable(message)}};
  for (const Field& field : fields) {
    if (std::holds_alternative<std::string_view>(field.value)) {
      line[field.name] = field.shown();
    } else if (const auto* const number = std::get_if<std::int64_t>(&field.value)) {
      line[field.name] = *number;
    } else {
      line[field.name] = std::get<std::uint64_t>(field.value);
    }
  }
  return serialize(line);
}

}  // namespace

std::optional<Level> parse_level(std::string_view name) noexcept {
  for (const LevelName& known : kNames) {
    if (known.text == name) return known.level;
  }
  return std::nullopt;
}

std::optional<Format> parse_format(std::string_view name) noexcept {
  if (name == "text") return Format::text;
  if (name == "json") return Format::json;
  return std::nullopt;
}

void set_level(Level level) noexcept { sink().set_level(to_spdlog(level)); }

bool enabled(Level level) noexcept { return sink().should_log(to_spdlog(level)); }

void set_format(Format format) noexcept { current_format() = format; }

Format format() noexcept { return current_format(); }

void write(Level level, const char* stage, std::string_view message, std::span<const Field> fields) {
  const std::string line = format() == Format::json ? json_line(level, stage, message, fields)
                                                    : fmt::format("{} {} {}: {}", time_of_line(),
                                                                  kNames.at(static_cast<std::size_t>(level)).text,
                                                                  stage, printable(message));
  sink().log({"qatime", to_spdlog(level), line});
}

std::string Field::shown() const {
  if (const auto* const text = std::get_if<std::string_view>(&value)) return escaped(*text);
  if (const auto* const number = std::get_if<std::int64_t>(&value)) return fmt::format("{}", *number);
  return fmt::format("{}", std::get<std::uint64_t>(value));
}

void set_line_begin(const char* text) { sink().set_begin(text); }

std::string escaped(std::string_view bytes) {
  constexpr std::size_t kLongest = 1024;
  std::string text = escape(bytes.substr(0, kLongest), "\"\\");
  if (bytes.size() > kLongest) text += "...";
  return text;
}

std::string printable(std::string_view line) { return escape(line, {}); }

std::optional<std::uint64_t> Throttle::admit() {
  const auto now = std::chrono::steady_clock::now();
  const MutexLock lock{mutex_};
  ++count_;
  if (now < next_) return std::nullopt;
  next_ = now + kInterval;
  return std::exchange(count_, 0);
}

}  // namespace qatime::log
