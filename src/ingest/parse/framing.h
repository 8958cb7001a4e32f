// SPDX-License-Identifier: MIT
// A stream of bytes, cut into syslog messages (RFC 6587 section 3.4).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

namespace qatime::ingest {

// A file, and so a message or a stream of it, might begin with one (RFC 3629 section 6).
inline constexpr std::string_view kByteOrderMark{"\xEF\xBB\xBF"};

// Returns `message` without its final CR, LF or NUL, if it has one.
[[nodiscard]] std::string_view strip_trailer(std::string_view message) noexcept;

// The receive buffer of one connection, and the position in it. Each message ends by its octet count if it has one,
// else at LF or NUL. One thread.
//
//   commit(read(writable()));
//   while (auto frame = next()) ...      until it returns nothing, before the next writable()
//   if (auto frame = finish()) ...       at an orderly close only, because a reset cuts the last message
class Framer {
 public:
  enum class Kind : std::uint8_t {
    message,       // `bytes`, never empty
    too_long,      // a message over the limit; it is skipped to its end, or to an LF within its count
    bad_count,     // a message whose octet count goes beyond its line; it is skipped to the LF
    stray,         // bytes after a counted message that begin none, so its count was too small; skipped to LF or NUL
    proxy_header,  // a PROXY header at the start of the stream, which nobody has asked for; the stream is behind it
  };
  struct Frame {
    Kind kind = Kind::message;
    std::string_view bytes;  // valid until the next call of writable(), trim() or abandon()
  };

  static constexpr std::size_t kChunk = 64 << 10;  // bytes; the room for an ordinary read

  // `max_message` is in bytes, without octet count and terminator, but with a CR, or a counted LF, at the end.
  explicit Framer(std::size_t max_message) noexcept : max_message_{max_message} {}

  // Sets the limit, in bytes, for the unfinished message and those after it.
  void set_max_message(std::size_t max_message) noexcept { max_message_ = max_message; }

  // Returns the space for the next bytes of the stream, at least kChunk / 2 bytes.
  [[nodiscard]] std::span<char> writable();
  void commit(std::size_t size) noexcept { end_ += size; }

  // Returns the next message, or a frame that reports a dropped one, or nothing if it needs more bytes.
  [[nodiscard]] std::optional<Frame> next() noexcept;

  // Returns the last message if the stream ends without a terminator. An incomplete counted message is a bad_count.
  [[nodiscard]] std::optional<Frame> finish() noexcept;

  // Frees the memory that the unfinished message does not need: all of it between messages.
  void trim();

  // Drops the unfinished message and skips to its end. Returns whether there was one.
  bool abandon() noexcept;

  // Bytes of memory held: at most about twice max_message, or kChunk if that is more.
  [[nodiscard]] std::size_t memory() const noexcept { return capacity_; }

 private:
  enum class Skip : std::uint8_t { nothing, line, count };
  enum class Start : std::uint8_t { proxy_header, byte_order_mark, over };  // what may come next at the start

  // The bytes from the start of the message up to `at` do not contain `byte`.
  struct Cursor {
    char byte;
    std::size_t at = 0;
  };

  [[nodiscard]] std::string_view view(std::size_t size) const noexcept { return {buffer_.get() + begin_, size}; }
  [[nodiscard]] std::size_t held() const noexcept { return end_ - begin_; }
  std::size_t find(Cursor& cursor, std::size_t end) noexcept;
  std::size_t find_terminator() noexcept;
  Frame drop_proxy_header(std::size_t size) noexcept;
  std::optional<Frame> begin_stream() noexcept;
  bool skip_byte_order_mark() noexcept;
  void drop_terminators() noexcept;
  bool skip_on() noexcept;
  bool skip_line() noexcept;
  bool skip_count() noexcept;
  std::optional<Frame> start_message() noexcept;
  std::optional<Frame> next_line() noexcept;
  std::optional<Frame> next_counted() noexcept;
  void relocate(std::size_t capacity);

  std::size_t max_message_;
  std::unique_ptr<char[]> buffer_;
  std::size_t capacity_ = 0;
  std::size_t begin_ = 0;  // of the current message
  std::size_t end_ = 0;    // of the received bytes
  Cursor line_feed_{'\n'};
  Cursor nul_{'\0'};
  std::size_t count_ = 0;  // bytes of the current counted message from begin_; 0: none
  Start start_ = Start::proxy_header;
  bool after_count_ = false;  // a counted message has just ended
  Skip skip_ = Skip::nothing;
};

}  // namespace qatime::ingest
