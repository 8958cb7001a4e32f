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

// A log cannot be read, or not to its end. One line that says which log and why.
class LogError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// A log is in a form that must be unpacked or converted first. One line that says which log, and the command to type.
class PackedLog : public LogError {
 public:
  using LogError::LogError;
};

// The bytes recorded in a file or on standard input. Unpacks all members of content that begins like gzip (RFC 1952),
// whatever the file's name. The first ready() or read() opens the file; its end closes it. One thread.
class RecordedLog {
 public:
  // `name` is a file, or "-" for standard input. Throws LogError if it does not exist, is a directory, or is not
  // readable, and PackedLog if it is packed otherwise than by gzip.
  explicit RecordedLog(std::string name);
  ~RecordedLog();
  RecordedLog(const RecordedLog&) = delete;
  RecordedLog& operator=(const RecordedLog&) = delete;

  // Waits until read() would not block, for at most `limit`. A signal ends the wait, too. Returns whether read() would
  // not block. Throws LogError.
  [[nodiscard]] bool ready(std::chrono::milliseconds limit);

  // Reads into `space`. Returns the number of bytes, 0 at the end, or nothing if it needs more bytes of the file first.
  // Throws LogError where the log is damaged or cut off, after all bytes before that place; PackedLog as above, for
  // what comes through a pipe.
  [[nodiscard]] std::optional<std::size_t> read(std::span<char> space);

  [[nodiscard]] const std::string& name() const noexcept { return name_; }

  // When the file was last written to; nothing if it is not a regular file, or has grown since this was made.
  [[nodiscard]] std::optional<Time> written() const noexcept { return position_ > size_ ? std::nullopt : written_; }

  // The size of the file (packed, if it is) when this was made, in bytes; nothing if it is not a regular file.
  [[nodiscard]] std::optional<std::uint64_t> size() const noexcept { return size_; }

  // The bytes of the file (packed, if it is) read so far.
  [[nodiscard]] std::uint64_t position() const noexcept { return position_; }

 private:
  class Gzip;

  void open();
  void close() noexcept;
  [[nodiscard]] std::size_t read_file(std::span<char> space);
  bool fill();
  [[nodiscard]] bool recognise();
  void expect_plain(std::span<const char> begin) const;
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
  bool recognised_ = false;  // known whether it is packed
  std::vector<char> buffer_;
  std::span<const char> held_;  // of buffer_: read from the file, not processed yet
  std::unique_ptr<Gzip> gzip_;  // if it is packed
};

}  // namespace qatime::ingest
