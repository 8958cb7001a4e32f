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

// The bytes of the UTF-8 sequence (RFC 3629) at the front of `text`, or 0 if there is none.
std::size_t utf8_length(std::string_view text) noexcept {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  const std::size_t length = first < 0x80   ? 1
                             : first < 0xC2 ? 0
                             : first < 0xE0 ? 2
                             : first < 0xF0 ? 3
                             : first < 0xF5 ? 4
                                            : 0;
  if (length == 0 || length > text.size()) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0U) != 0x80) return 0;
  }
  if (length < 3) return length;
  const bool overlong = (first == 0xE0 && byte(1) < 0xA0) || (first == 0xF0 && byte(1) < 0x90);
  const bool beyond = (first == 0xED && byte(1) > 0x9F) || (first == 0xF4 && byte(1) > 0x8F);
  return overlong || beyond ? 0 : length;
}

// The code point of a valid sequence.
char32_t decode(std::string_view character) noexcept {
  const auto first = static_cast<unsigned char>(character[0]);
  if (character.size() == 1) return first;
  char32_t code = first & (0x7FU >> character.size());
  for (const char byte : character.substr(1)) code = code << 6 | (static_cast<unsigned char>(byte) & 0x3FU);
  return code;
}

// Whether a terminal, a viewer or a reader might take it for something else than a character of a name, or not see it:
// C0, C1 and DEL; the marks of direction (UAX #9); the line and paragraph separators; soft hyphen, zero-width
// characters, byte order mark, interlinear annotations and tags (general category Cf).
bool is_treacherous(char32_t code) noexcept {
  return code < 0x20 || (code >= 0x7F && code < 0xA0) || code == 0x00AD || code == 0x061C || code == 0x180E ||
         (code >= 0x200B && code <= 0x200F) || (code >= 0x2028 && code <= 0x202E) ||
         (code >= 0x2060 && code <= 0x206F) || code == 0xFEFF || (code >= 0xFFF9 && code <= 0xFFFB) ||
         (code >= 0xE0000 && code <= 0xE007F);
}

std::string escape(std::string_view bytes, std::string_view also) {
  std::string text;
  text.reserve(bytes.size());
  while (!bytes.empty()) {
    const std::size_t length = utf8_length(bytes);
    const std::string_view character = bytes.substr(0, std::max<std::size_t>(length, 1));
    if (length > 0 && !is_treacherous(decode(character)) && also.find(character) == also.npos) {
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
