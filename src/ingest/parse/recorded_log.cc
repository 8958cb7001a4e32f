// SPDX-License-Identifier: MIT
#include "ingest/parse/recorded_log.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <new>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/log.h"

namespace qatime::ingest {
namespace {

constexpr std::size_t kRecordedBlock = 256 << 10;  // bytes read at once
constexpr std::array kGzipMagic{'\x1f', '\x8b'};

// The marks at the front of what else logs are packed or written as, and the command that makes a plain one of it.
struct FormatMark {
  std::string_view bytes;
  std::string_view form;
  std::string_view command;
};
constexpr std::array kMarks{
    FormatMark{{"\xFD\x37\x7A\x58\x5A\0", 6}, "packed by xz", "xzcat"},
    FormatMark{"\x28\xB5\x2F\xFD", "packed by zstd", "zstdcat"},
    FormatMark{"BZh", "packed by bzip2", "bzcat"},
    FormatMark{"\x04\x22\x4D\x18", "packed by lz4", "lz4cat"},
    FormatMark{"\x1F\x9D", "packed by compress", "zcat"},
    FormatMark{{"PK\3\4", 4}, "a zip archive", "unzip -p"},
    FormatMark{"\xFF\xFE", "UTF-16", "iconv -f UTF-16 -t UTF-8"},
    FormatMark{"\xFE\xFF", "UTF-16", "iconv -f UTF-16 -t UTF-8"},
    FormatMark{{"<\0", 2}, "UTF-16", "iconv -f UTF-16LE -t UTF-8"},
    FormatMark{{"\0<", 2}, "UTF-16", "iconv -f UTF-16BE -t UTF-8"},
};
constexpr std::size_t kLongestMark = 6;

std::string last_error() { return std::generic_category().message(errno); }

}  // namespace

// One member after the other.
class RecordedLog::Gzip {
 public:
  Gzip() {
    constexpr int kGzipFormat = 16;
    if (inflateInit2(&stream_, MAX_WBITS + kGzipFormat) != Z_OK) throw std::bad_alloc{};
  }
  ~Gzip() { inflateEnd(&stream_); }
  Gzip(const Gzip&) = delete;
  Gzip& operator=(const Gzip&) = delete;

  [[nodiscard]] bool in_member() const noexcept { return in_member_; }
  void begin_member() noexcept { in_member_ = true; }

  // Why no more can be unpacked; empty if nothing is wrong.
  [[nodiscard]] const std::string& damage() const noexcept { return damage_; }

  // Moves the begin of `packed` on; returns how much of `space` was filled.
  std::size_t unpack(std::span<const char>& packed, std::span<char> space) {
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
    stream_.avail_in = static_cast<uInt>(packed.size());
    stream_.next_out = reinterpret_cast<Bytef*>(space.data());
    stream_.avail_out = static_cast<uInt>(space.size());
    const int status = inflate(&stream_, Z_NO_FLUSH);
    packed = packed.last(stream_.avail_in);
    if (status == Z_STREAM_END) {
      inflateReset(&stream_);
      in_member_ = false;
    } else if (status != Z_OK && status != Z_BUF_ERROR) {
      damage_ = fmt::format("the gzip data is damaged ({})", stream_.msg == nullptr ? "no reason" : stream_.msg);
    }
    return space.size() - stream_.avail_out;
  }

 private:
  z_stream stream_{};
  bool in_member_ = false;
  std::string damage_;
};

RecordedLog::RecordedLog(std::string name) : name_{std::move(name)} {
  struct stat about{};
  if ((name_ == "-" ? fstat(STDIN_FILENO, &about) : stat(name_.c_str(), &about)) != 0) fail(last_error());
  if (S_ISDIR(about.st_mode)) fail("is a directory");
  if (name_ != "-" && access(name_.c_str(), R_OK) != 0) fail(last_error());
  if (!S_ISREG(about.st_mode)) return;
  written_ = Time{std::chrono::seconds{about.st_mtim.tv_sec} + std::chrono::nanoseconds{about.st_mtim.tv_nsec}};
  size_ = static_cast<std::uint64_t>(about.st_size);

  // Before anything is read of any log.
  std::array<char, kLongestMark> begin{};
  open();
  const ssize_t size = pread(descriptor_, begin.data(), begin.size(), lseek(descriptor_, 0, SEEK_CUR));
  close();
  if (size > 0) expect_plain(std::span{begin}.first(static_cast<std::size_t>(size)));
}

RecordedLog::~RecordedLog() { close(); }

bool RecordedLog::ready(std::chrono::milliseconds limit) {
  if (ended_ || (recognised_ && !held_.empty()) || (gzip_ && !gzip_->damage().empty())) return true;
  open();
  pollfd waiting{descriptor_, POLLIN, 0};
  return poll(&waiting, 1, static_cast<int>(limit.count())) > 0;
}

std::optional<std::size_t> RecordedLog::read(std::span<char> space) {
  if (ended_) return 0;
  if (!recognised_ && !recognise()) return std::nullopt;
  const std::optional<std::size_t> size = gzip_ ? unpack(space) : copy(space);
  if (size == 0) {
    ended_ = true;
    close();
  }
  return size;
}

void RecordedLog::open() {
  if (descriptor_ >= 0) return;
  descriptor_ = name_ == "-" ? STDIN_FILENO : ::open(name_.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor_ < 0) fail(last_error());
}

void RecordedLog::close() noexcept {
  if (descriptor_ > STDIN_FILENO) ::close(descriptor_);
  descriptor_ = -1;
  held_ = {};
  buffer_ = std::vector<char>{};  // {} would keep its memory
  gzip_.reset();
}

std::size_t RecordedLog::read_file(std::span<char> space) {
  open();
  ssize_t size = -1;
  do {
    size = ::read(descriptor_, space.data(), space.size());
  } while (size < 0 && errno == EINTR);
  if (size < 0) fail(last_error());
  position_ += static_cast<std::uint64_t>(size);
  return static_cast<std::size_t>(size);
}

// Adds to what is held, which is at the front of the buffer or nothing; false at the end of the file.
bool RecordedLog::fill() {
  const std::size_t size = read_file(std::span{buffer_}.subspan(held_.size()));
  held_ = std::span{buffer_}.first(held_.size() + size);
  return size > 0;
}

// Whether it is clear now if the log is packed.
bool RecordedLog::recognise() {
  buffer_.resize(kRecordedBlock);
  const bool is_end = !fill();
  expect_plain(held_);
  if (held_.size() >= kGzipMagic.size() && std::equal(kGzipMagic.begin(), kGzipMagic.end(), held_.begin())) {
    gzip_ = std::make_unique<Gzip>();
  }
  recognised_ = is_end || held_.size() >= kLongestMark;
  return recognised_;
}

void RecordedLog::expect_plain(std::span<const char> begin) const {
  const std::string_view text{begin.data(), begin.size()};
  for (const FormatMark& mark : kMarks) {
    if (!text.starts_with(mark.bytes)) continue;
    throw PackedLog{fmt::format("{}: is {}: use `{} {} | qatime replay -`", log::escaped(name_), mark.form,
                                mark.command, name_ == "-" ? "FILE" : log::escaped(name_))};
  }
}

std::size_t RecordedLog::copy(std::span<char> space) {
  if (held_.empty()) return read_file(space);
  const std::size_t size = std::min(space.size(), held_.size());
  std::copy_n(held_.begin(), size, space.begin());
  held_ = held_.subspan(size);
  return size;
}

// Nothing if what is held gives nothing.
std::optional<std::size_t> RecordedLog::unpack(std::span<char> space) {
  if (!gzip_->damage().empty()) fail(gzip_->damage());
  if (held_.empty() && !fill()) {
    if (gzip_->in_member()) fail("the gzip data is cut off");
    return 0;
  }
  if (!gzip_->in_member()) begin_member();
  const std::size_t size = gzip_->in_member() ? gzip_->unpack(held_, space) : 0;
  return size > 0 ? std::optional{size} : std::nullopt;
}

// If there is one: the file may be padded with zeros, as on tapes.
void RecordedLog::begin_member() {
  held_ = held_.subspan(
      static_cast<std::size_t>(std::ranges::find_if(held_, [](char c) { return c != '\0'; }) - held_.begin()));
  if (!held_.empty()) gzip_->begin_member();
}

void RecordedLog::fail(std::string_view why) const { throw LogError{fmt::format("{}: {}", log::escaped(name_), why)}; }

}  // namespace qatime::ingest
