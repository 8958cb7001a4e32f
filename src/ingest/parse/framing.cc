// SPDX-License-Identifier: MIT
// A counted message begins with `[1-9][0-9]{0,6} (<|[0-9]{4}-|[A-Z][a-z]{2} )`: a count, and then what a message
// begins with. A message never begins with a bare number and a space, so nothing else looks like that.
//
// A count can lie. Audit messages hold no LF but the one that may end them, hence:
//   - it is too large if there is an LF before its last byte. The message is dropped up to that LF, at once: nobody
//     waits for bytes that may never come, and the messages behind it are not swallowed.
//   - it is too small if what follows begins no message. The message was delivered already, since the next one may
//     be an hour away; what follows is dropped to the end of its line.
// A line ends at LF or NUL.
//
// Each byte is looked at once per terminator: the cursors remember up to where there was none.
#include "ingest/parse/framing.h"

#include <algorithm>
#include <cstring>

#include "ingest/parse/proxy_header.h"

namespace qatime::ingest {
namespace {

enum class Match : std::uint8_t { no, yes, undecided };  // undecided: the text is too short to tell

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

bool is_terminator(char c) noexcept { return c == '\n' || c == '\0' || c == '\r'; }

// Whether `text` begins with what `pattern` says: '0' a digit, 'A' a capital, 'a' a small letter, else itself.
Match match(std::string_view text, std::string_view pattern) noexcept {
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (i == text.size()) return Match::undecided;
    const char c = text[i];
    const bool fits = pattern[i] == '0'   ? is_digit(c)
                      : pattern[i] == 'A' ? c >= 'A' && c <= 'Z'
                      : pattern[i] == 'a' ? c >= 'a' && c <= 'z'
                                          : c == pattern[i];
    if (!fits) return Match::no;
  }
  return Match::yes;
}

// Whether `text` begins as a message without count does: `<14>`, `2026-01-27T`, `Jan 27`.
Match match_message(std::string_view text) noexcept {
  if (text.empty()) return Match::undecided;
  if (text.front() == '<') return Match::yes;
  return match(text, is_digit(text.front()) ? "0000-" : "Aaa ");
}

struct OctetCount {
  Match match = Match::no;
  std::size_t value = 0;
  std::size_t length = 0;  // of the digits and the space
};

// The octet count that `text`, which is not empty, begins with.
OctetCount match_count(std::string_view text) noexcept {
  constexpr std::size_t kMaxDigits = 7;
  if (text.front() < '1' || text.front() > '9') return {};
  OctetCount count;
  std::size_t i = 0;
  for (; i < text.size() && i < kMaxDigits && is_digit(text[i]); ++i) {
    count.value = count.value * 10 + static_cast<std::size_t>(text[i] - '0');
  }
  if (i == text.size()) return {.match = Match::undecided};
  if (text[i] != ' ') return {};
  count.length = i + 1;
  count.match = match_message(text.substr(count.length));
  return count;
}

}  // namespace

std::string_view strip_trailer(std::string_view message) noexcept {
  if (!message.empty() && is_terminator(message.back())) message.remove_suffix(1);
  return message;
}

std::span<char> Framer::writable() {
  const std::size_t size = held();
  std::size_t wanted = kChunk;
  while (wanted < size + kChunk / 2) wanted *= 2;
  if (wanted != capacity_ || begin_ > 0) relocate(wanted);
  return {buffer_.get() + end_, capacity_ - end_};
}

void Framer::trim() {
  // A long unfinished message keeps its buffer: to move it at every wake-up would be quadratic.
  if (const std::size_t size = held(); size <= kChunk / 2 && size < capacity_) relocate(size);
}

// Moves what is held to the begin of a buffer of `capacity` bytes.
void Framer::relocate(std::size_t capacity) {
  const std::size_t size = held();
  if (capacity == capacity_) {
    std::memmove(buffer_.get(), buffer_.get() + begin_, size);
  } else {
    std::unique_ptr<char[]> moved;
    if (capacity > 0) moved = std::make_unique_for_overwrite<char[]>(capacity);
    if (size > 0) std::memcpy(moved.get(), buffer_.get() + begin_, size);
    buffer_ = std::move(moved);
    capacity_ = capacity;
  }
  for (Cursor* cursor : {&line_feed_, &nul_}) cursor->at = std::max(cursor->at, begin_) - begin_;
  begin_ = 0;
  end_ = size;
}

std::optional<Framer::Frame> Framer::next() noexcept {
  if (skip_ != Skip::nothing && !skip_on()) return std::nullopt;
  if (count_ > 0) return next_counted();
  return start_message();
}

std::optional<Framer::Frame> Framer::finish() noexcept {
  if (skip_ != Skip::nothing) return std::nullopt;
  if (start_ == Start::proxy_header) {
    if (measure_proxy_header(view(held())).kind == ProxyExtent::Kind::unfinished) return drop_proxy_header(held());
    drop_terminators();  // a header may begin with them
  }
  if (held() == 0) return std::nullopt;
  const std::string_view rest = view(held());
  begin_ = end_;
  if (count_ > 0) return Frame{Kind::bad_count, {}};
  // It may be that long where it was not clear yet whether it has a count.
  if (rest.size() > max_message_) return Frame{Kind::too_long, {}};
  return Frame{Kind::message, strip_trailer(rest)};
}

bool Framer::abandon() noexcept {
  if (skip_ != Skip::nothing || held() == 0) return false;
  skip_ = count_ > 0 ? Skip::count : Skip::line;
  count_ -= std::min(count_, held());
  start_ = Start::over;
  begin_ = end_;
  relocate(0);
  return true;
}

// The first `cursor.byte` before `end`, or `end`.
std::size_t Framer::find(Cursor& cursor, std::size_t end) noexcept {
  cursor.at = std::max(cursor.at, begin_);
  if (cursor.at >= end) return end;
  const char* const from = buffer_.get() + cursor.at;
  const void* const hit = std::memchr(from, cursor.byte, end - cursor.at);
  cursor.at = hit == nullptr ? end : cursor.at + static_cast<std::size_t>(static_cast<const char*>(hit) - from);
  return cursor.at;
}

// Where there is no NUL at all, that is found out once for all that is held.
std::size_t Framer::find_terminator() noexcept { return std::min(find(nul_, end_), find(line_feed_, end_)); }

// Nothing between two ends is no message.
void Framer::drop_terminators() noexcept {
  while (begin_ < end_ && is_terminator(buffer_[begin_])) ++begin_;
}

bool Framer::skip_on() noexcept {
  const bool done = skip_ == Skip::line ? skip_line() : skip_count();
  if (done) skip_ = Skip::nothing;
  return done;
}

bool Framer::skip_line() noexcept {
  const std::size_t stop = find_terminator();
  const bool done = stop < end_;
  begin_ = done ? stop + 1 : end_;
  return done;
}

bool Framer::skip_count() noexcept {
  const std::size_t stop = begin_ + std::min(held(), count_);
  if (const std::size_t line_feed = find(line_feed_, stop); line_feed < stop) {
    begin_ = line_feed + 1;
    count_ = 0;
    return true;
  }
  count_ -= stop - begin_;
  begin_ = stop;
  after_count_ = count_ == 0;
  return after_count_;
}

Framer::Frame Framer::drop_proxy_header(std::size_t size) noexcept {
  begin_ += size;
  start_ = Start::byte_order_mark;
  return Frame{Kind::proxy_header, {}};
}

// The start is over, unless it cannot be told yet what it is, or it has given a frame.
std::optional<Framer::Frame> Framer::begin_stream() noexcept {
  if (start_ == Start::proxy_header) {
    const ProxyExtent extent = measure_proxy_header(view(held()));
    if (extent.kind == ProxyExtent::Kind::whole) return drop_proxy_header(extent.size);
    if (extent.kind != ProxyExtent::Kind::none) return std::nullopt;
    start_ = Start::byte_order_mark;
  }
  if (skip_byte_order_mark()) start_ = Start::over;
  return std::nullopt;
}

// Returns false while it cannot be told whether there is one.
bool Framer::skip_byte_order_mark() noexcept {
  const std::string_view begin = view(std::min(held(), kByteOrderMark.size()));
  if (begin.size() < kByteOrderMark.size() && kByteOrderMark.starts_with(begin)) return false;
  if (begin == kByteOrderMark) begin_ += kByteOrderMark.size();
  return true;
}

std::optional<Framer::Frame> Framer::start_message() noexcept {
  if (start_ != Start::over) {
    const auto frame = begin_stream();
    if (frame || start_ != Start::over) return frame;
  }
  drop_terminators();
  if (held() == 0) return std::nullopt;
  const std::string_view rest = view(held());
  const OctetCount count = match_count(rest);
  if (count.match == Match::undecided) return std::nullopt;
  if (after_count_ && count.match == Match::no) {
    const Match plain = match_message(rest);
    if (plain == Match::undecided) return std::nullopt;
    if (plain == Match::no) {
      after_count_ = false;
      skip_ = Skip::line;
      return Frame{Kind::stray, {}};
    }
  }
  after_count_ = false;
  if (count.match == Match::no) return next_line();
  begin_ += count.length;
  count_ = count.value;
  return next_counted();
}

std::optional<Framer::Frame> Framer::next_line() noexcept {
  const std::size_t stop = find_terminator();
  const std::size_t size = stop - begin_;
  if (size > max_message_) {
    skip_ = Skip::line;
    return Frame{Kind::too_long, {}};
  }
  if (stop == end_) return std::nullopt;
  const Frame frame{Kind::message, strip_trailer(view(size))};
  begin_ = stop + 1;
  return frame;
}

std::optional<Framer::Frame> Framer::next_counted() noexcept {
  if (count_ > max_message_) {
    skip_ = Skip::count;
    return Frame{Kind::too_long, {}};
  }
  const std::size_t stop = begin_ + std::min(held(), count_);
  const std::size_t line_feed = find(line_feed_, stop);
  if (line_feed < stop && line_feed + 1 < begin_ + count_) {
    begin_ = line_feed + 1;
    count_ = 0;
    return Frame{Kind::bad_count, {}};
  }
  if (held() < count_) return std::nullopt;
  const Frame frame{Kind::message, strip_trailer(view(count_))};
  begin_ = stop;
  count_ = 0;
  after_count_ = true;
  return frame;
}

}  // namespace qatime::ingest
