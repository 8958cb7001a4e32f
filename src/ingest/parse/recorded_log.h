// SPDX-License-Identifier: MIT
// A recorded audit log.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "base/timestamp.h"

namespace qatime::ingest {

// One line: which log, and why it cannot be read, or not to its end.
class LogError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// A file as the stream of bytes that was recorded in it, or standard input. What begins as gzip does (RFC 1952) is
// unpacked, all members of it; its name does not matter. Opened by the first read, closed at its end. One thread.
class RecordedLog {
 public:
  // `name` is that of a file, or "-" for standard input. Throws LogError if it is a directory or may not be read.
  explicit RecordedLog(std::string name);
  ~RecordedLog();
  RecordedLog(const RecordedLog&) = delete;
  RecordedLog& operator=(const RecordedLog&) = delete;

  // Waits until read() need not wait, but no longer than `limit` or a signal. Throws LogError.
  [[nodiscard]] bool ready(std::chrono::milliseconds limit);

  // Reads into `space`; returns how much, 0 at the end, nothing if that takes more of the file than there is at hand.
  // Throws LogError where the log is damaged or cut off, once all that comes before was read.
  [[nodiscard]] std::optional<std::size_t> read(std::span<char> space);

  [[nodiscard]] const std::string& name() const noexcept { return name_; }

  // When it was last written to; nothing if it is no regular file.
  [[nodiscard]] std::optional<Time> written() const noexcept { return written_; }

  // Bytes of the file, as it is, when it was opened; nothing if it is no regular file.
  [[nodiscard]] std::optional<std::uint64_t> size() const noexcept { return size_; }

  // Bytes of the file, as it is, that were taken from it.
  [[nodiscard]] std::uint64_t position() const noexcept { return position_; }

 private:
  class Gzip;

  void open();
  void close() noexcept;
  [[nodiscard]] std::size_t read_file(std::span<char> space);
  bool fill();
  [[nodiscard]] bool recognise();
  std::size_t copy(std::span<char> space);
  std::optional<std::size_t> unpack(std::span<char> space);
  void begin_member();
  [[noreturn]] void fail(std::string_view why) const;

  const std::string name_;
  std::optional<Time> written_;
  std::optional<std::uint64_t> size_;
  std::uint64_t position_ = 0;
  int descriptor_ = -1;
  bool ended_ = false;
  bool recognised_ = false;  // whether it is packed
  std::vector<char> buffer_;
  std::span<const char> held_;  // of buffer_: taken from the file, not looked at yet
  std::unique_ptr<Gzip> gzip_;  // if it is packed
};

}  // namespace qatime::ingest
