// SPDX-License-Identifier: MIT
#include "base/log.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <deque>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <poll.h>
#include <pthread.h>
#include <spdlog/async_logger.h>
#include <spdlog/details/log_msg.h>
#include <spdlog/details/thread_pool.h>
#include <spdlog/sinks/sink.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>
#include <utf8proc.h>

#include "base/timestamp.h"

namespace qatime::log {
namespace {

struct LevelName {
  Level level;
  std::string_view text;
  spdlog::level::level_enum spdlog;
  int priority;  // of syslog
};

constexpr std::array kNames{
    LevelName{Level::debug, "debug", spdlog::level::debug, LOG_DEBUG},
    LevelName{Level::info, "info", spdlog::level::info, LOG_INFO},
    LevelName{Level::warning, "warning", spdlog::level::warn, LOG_WARNING},
    LevelName{Level::error, "error", spdlog::level::err, LOG_ERR},
};

spdlog::level::level_enum to_spdlog(Level level) noexcept { return kNames.at(static_cast<std::size_t>(level)).spdlog; }

// Writes all of it, or as much as is taken.
void write_to_standard_error(std::string_view text) {
  while (!text.empty()) {
    const ssize_t size = ::write(STDERR_FILENO, text.data(), text.size());
    if (size >= 0) {
      text.remove_prefix(static_cast<std::size_t>(size));
    } else if (errno == EAGAIN) {
      pollfd writable{STDERR_FILENO, POLLOUT, 0};
      (void)::poll(&writable, 1, -1);
    } else if (errno != EINTR) {
      return;
    }
  }
}

// Writes each line to standard error at once. spdlog's sink would format again what comes formatted, and its patterns
// take long to compile.
class StandardError final : public spdlog::sinks::sink {
 public:
  void log(const spdlog::details::log_msg& message) override {
    const MutexLock lock{mutex_};
    line_.assign(begin_);
    line_.append(message.payload.data(), message.payload.size()).append(1, '\n');
    write_to_standard_error(line_);
  }

  void write(std::string_view text) {
    const MutexLock lock{mutex_};
    write_to_standard_error(text);
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

std::atomic<bool>& leads_to_journal() noexcept {
  static std::atomic<bool> instance{false};
  return instance;
}

// Never destroyed, because a thread that hangs in it may outlive main().
StandardError& standard_error() {
  static StandardError& instance = *new StandardError;
  return instance;
}

std::string line_of(Level level, const char* stage, std::string_view message, std::span<const Field> fields);

// The lines that wait for the thread of Background.
class LineQueue {
 public:
  LineQueue() { logger_->set_level(spdlog::level::trace); }  // enabled() decides

  void add(Level level, std::string_view line) {
    ++added_;
    logger_->log(to_spdlog(level), spdlog::string_view_t{line.data(), line.size()});
  }

  // Returns whether all lines were written before the end.
  bool flush() const {
    const auto end = std::chrono::steady_clock::now() + kFarewell;
    while (written_ + pool_->overrun_counter() < added_) {
      if (std::chrono::steady_clock::now() >= end) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds{1});
    }
    return true;
  }

 private:
  static constexpr std::chrono::seconds kFarewell{1};

  // Says how many lines are missing in front of the next one.
  class Sink final : public spdlog::sinks::sink {
   public:
    explicit Sink(LineQueue& queue) : queue_{queue} {}

    void log(const spdlog::details::log_msg& message) override {
      if (const std::size_t lost =
              queue_.pool_->overrun_counter() - std::exchange(told_, queue_.pool_->overrun_counter())) {
        const Field count = field("lines", lost);
        const auto line = line_of(Level::warning, "log",
                                  fmt::format("{} lines are lost, because standard error took "
                                              "none for too long",
                                              lost),
                                  {&count, 1});
        standard_error().log({"qatime", spdlog::level::warn, line});
      }
      standard_error().log(message);
      ++queue_.written_;
    }
    void flush() override {}
    void set_pattern(const std::string& /*unused*/) override {}
    void set_formatter(std::unique_ptr<spdlog::formatter> /*unused*/) override {}

   private:
    LineQueue& queue_;
    std::size_t told_ = 0;
  };

  std::atomic<std::size_t> added_{0};
  std::atomic<std::size_t> written_{0};
  std::shared_ptr<spdlog::details::thread_pool> pool_ = std::make_shared<spdlog::details::thread_pool>(
      Background::kLines, 1, [] { pthread_setname_np(pthread_self(), "log"); });
  std::shared_ptr<spdlog::async_logger> logger_ = std::make_shared<spdlog::async_logger>(
      "qatime", std::make_shared<Sink>(*this), pool_, spdlog::async_overflow_policy::overrun_oldest);
};

struct Current {
  Mutex mutex;
  std::shared_ptr<LineQueue> queue QATIME_GUARDED_BY(mutex);
  std::shared_ptr<LineQueue> hung QATIME_GUARDED_BY(mutex);  // of before, whose thread hangs
};

Current& current() {
  static Current& instance = *new Current;
  return instance;
}

std::shared_ptr<LineQueue> exchange_queue(std::shared_ptr<LineQueue> queue) {
  const MutexLock lock{current().mutex};
  return std::exchange(current().queue, std::move(queue));
}

std::shared_ptr<LineQueue> current_queue() {
  const MutexLock lock{current().mutex};
  return current().queue;
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

std::string line_of(Level level, const char* stage, std::string_view message, std::span<const Field> fields) {
  const LevelName& name = kNames.at(static_cast<std::size_t>(level));
  const std::string priority = leads_to_journal() ? fmt::format("<{}>", name.priority) : "";
  if (format() == Format::json) return priority + json_line(level, stage, message, fields);
  return fmt::format("{}{} {}: {}", leads_to_journal() ? priority : time_of_line() + " ", name.text, stage,
                     printable(message));
}

// All that there are.
struct Throttles {
  Mutex mutex;
  std::set<Throttle*> all QATIME_GUARDED_BY(mutex);
};

Throttles& throttles() {
  static Throttles& instance = *new Throttles;
  return instance;
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

void set_level(Level level) noexcept { standard_error().set_level(to_spdlog(level)); }

bool enabled(Level level) noexcept { return standard_error().should_log(to_spdlog(level)); }

void set_format(Format format) noexcept { current_format() = format; }

Format format() noexcept { return current_format(); }

void write(Level level, const char* stage, std::string_view message, std::span<const Field> fields) {
  const std::string line = line_of(level, stage, message, fields);
  if (const auto queue = current_queue()) return queue->add(level, line);
  standard_error().log({"qatime", to_spdlog(level), line});
}

void detect_journal() noexcept {
  const char* const stream = std::getenv("JOURNAL_STREAM");  // "device:inode"
  struct stat file{};
  if (stream == nullptr || ::fstat(STDERR_FILENO, &file) != 0) return;
  leads_to_journal() = stream == fmt::format("{}:{}", file.st_dev, file.st_ino);
}

void write_plain(std::string_view text) { standard_error().write(text); }

Background::Background() { (void)exchange_queue(std::make_shared<LineQueue>()); }

// A queue whose thread hangs is left to the end of the process.
Background::~Background() {
  auto queue = exchange_queue(nullptr);
  if (queue->flush()) return;
  const MutexLock lock{current().mutex};
  current().hung = std::move(queue);
}

void Background::flush() {
  if (const auto queue = current_queue()) (void)queue->flush();
}

std::string Field::shown() const {
  if (const auto* const text = std::get_if<std::string_view>(&value)) return escaped(*text);
  if (const auto* const number = std::get_if<std::int64_t>(&value)) return fmt::format("{}", *number);
  return fmt::format("{}", std::get<std::uint64_t>(value));
}

void set_line_begin(const char* text) { standard_error().set_begin(text); }

std::string escaped(std::string_view bytes) {
  constexpr std::size_t kLongest = 1024;
  std::string text = escape(bytes.substr(0, kLongest), "\"\\");
  if (bytes.size() > kLongest) text += "...";
  return text;
}

std::string printable(std::string_view line) { return escape(line, {}); }

// A line with strings of its own.
struct Throttle::KeptLine {
  Level level;
  const char* stage;
  std::string message;
  std::vector<Field> fields;
  std::deque<std::string> strings;
};

Throttle::Throttle() {
  const MutexLock lock{throttles().mutex};
  throttles().all.insert(this);
}

Throttle::~Throttle() {
  const MutexLock lock{throttles().mutex};
  throttles().all.erase(this);
}

void Throttle::keep(Level level, const char* stage, std::string_view message, std::span<const Field> fields) {
  auto line =
      std::make_unique<KeptLine>(KeptLine{level, stage, std::string{message}, {fields.begin(), fields.end()}, {}});
  for (Field& field : line->fields) {
    if (auto* const text = std::get_if<std::string_view>(&field.value)) *text = line->strings.emplace_back(*text);
  }
  const MutexLock lock{mutex_};
  line_ = std::move(line);
}

void Throttle::tell(std::chrono::steady_clock::time_point now) {
  const MutexLock lock{mutex_};
  if (count_ == 0 || now < next_) return;
  const std::uint64_t times = std::exchange(count_, 0);
  next_ = now + kInterval;
  if (!line_ || !enabled(line_->level)) return;
  auto fields = line_->fields;
  fields.push_back(field("count", times));
  write(line_->level, line_->stage, fmt::format("{} ({} times more)", line_->message, times), fields);
}

void tell_repeated(std::chrono::steady_clock::time_point now) {
  const MutexLock lock{throttles().mutex};
  for (Throttle* const throttle : throttles().all) throttle->tell(now);
}

std::optional<std::uint64_t> Throttle::admit() {
  const auto now = std::chrono::steady_clock::now();
  const MutexLock lock{mutex_};
  ++count_;
  if (now < next_) return std::nullopt;
  next_ = now + kInterval;
  return std::exchange(count_, 0);
}

}  // namespace qatime::log
