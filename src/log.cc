// SPDX-License-Identifier: MIT
#include "log.h"

#include <array>
#include <memory>

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

namespace qatime::log {
namespace {

struct Name {
  Level level;
  std::string_view text;
  spdlog::level::level_enum spdlog;
};

constexpr std::array kNames{
    Name{Level::debug, "debug", spdlog::level::debug},
    Name{Level::info, "info", spdlog::level::info},
    Name{Level::warning, "warning", spdlog::level::warn},
    Name{Level::error, "error", spdlog::level::err},
};

spdlog::level::level_enum to_spdlog(Level level) noexcept { return kNames.at(static_cast<std::size_t>(level)).spdlog; }

// 2026-01-27T14:12:23.955800Z warning nfs: text
constexpr const char* kPattern = "%Y-%m-%dT%H:%M:%S.%fZ %l %v";

spdlog::logger& logger() {
  static spdlog::logger instance = [] {
    spdlog::logger made{"qatime", std::make_shared<spdlog::sinks::stderr_sink_mt>()};
    made.set_pattern(kPattern, spdlog::pattern_time_type::utc);
    made.flush_on(spdlog::level::debug);
    return made;
  }();
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

// C0 and C1 controls, DEL, and what would make an escape or a quoted name ambiguous.
bool is_plain(std::string_view character) noexcept {
  const auto first = static_cast<unsigned char>(character[0]);
  if (character.size() == 1) return first >= 0x20 && first != 0x7F && first != '"' && first != '\\';
  return first != 0xC2 || static_cast<unsigned char>(character[1]) >= 0xA0;
}

}  // namespace

std::optional<Level> parse_level(std::string_view name) noexcept {
  for (const Name& known : kNames) {
    if (known.text == name) return known.level;
  }
  return std::nullopt;
}

void set_level(Level level) noexcept { logger().set_level(to_spdlog(level)); }

bool enabled(Level level) noexcept { return logger().should_log(to_spdlog(level)); }

void write(Level level, const char* stage, std::string_view message) {
  logger().log(to_spdlog(level), "{}: {}", stage, message);
}

void set_line_begin(const char* text) {
  logger().set_pattern(std::string{text} + kPattern, spdlog::pattern_time_type::utc);
}

std::string escaped(std::string_view bytes) {
  constexpr std::size_t kLongest = 1024;
  const bool cut = bytes.size() > kLongest;
  if (cut) bytes = bytes.substr(0, kLongest);
  std::string text;
  text.reserve(bytes.size());
  while (!bytes.empty()) {
    const std::size_t length = utf8_length(bytes);
    if (length > 0 && is_plain(bytes.substr(0, length))) {
      text.append(bytes.substr(0, length));
      bytes.remove_prefix(length);
    } else {
      text += fmt::format("\\x{:02x}", static_cast<unsigned char>(bytes[0]));
      bytes.remove_prefix(1);
    }
  }
  if (cut) text += "...";
  return text;
}

std::optional<std::uint64_t> Throttle::admit() {
  constexpr std::chrono::seconds kEvery{10};
  const auto now = std::chrono::steady_clock::now();
  const std::lock_guard lock{mutex_};
  ++count_;
  if (now < next_) return std::nullopt;
  next_ = now + kEvery;
  return std::exchange(count_, 0);
}

}  // namespace qatime::log
