// SPDX-License-Identifier: MIT
// Framing: a stream gives the frames that the rules of framing.cc give when they are applied to the whole of it,
// however it is cut into reads; memory is bounded; and whatever came, the record behind the next line end is heard,
// unless a PROXY header says that it is longer.
#include <algorithm>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "ingest/parse/framing.h"
#include "ingest/parse/proxy_header.h"
#include "target.h"

namespace {

using namespace qatime::fuzz;
using qatime::ingest::Framer;
using qatime::ingest::measure_proxy_header;
using qatime::ingest::ProxyExtent;
using qatime::ingest::strip_trailer;

using Outcome = std::pair<Framer::Kind, std::string>;
using Outcomes = std::vector<Outcome>;

constexpr std::string_view kTerminators{"\r\n\0", 3};
constexpr std::string_view kLineEnds{"\n\0", 2};

// --- the rules, applied to a whole stream

enum class Begin { no, yes, cut };  // cut: the stream ends before it is clear

Begin begins(std::string_view text, std::string_view pattern) {
  const std::size_t size = std::min(text.size(), pattern.size());
  for (std::size_t i = 0; i < size; ++i) {
    const char c = text[i];
    const char kind = c >= '0' && c <= '9' ? '0' : c >= 'A' && c <= 'Z' ? 'A' : c >= 'a' && c <= 'z' ? 'a' : c;
    if (kind != pattern[i]) return Begin::no;
  }
  return size == pattern.size() ? Begin::yes : Begin::cut;
}

Begin begins_message(std::string_view text) {
  for (const std::string_view pattern : {"<", "0000-", "Aaa "}) {
    if (const Begin begin = begins(text, pattern); begin != Begin::no) return begin;
  }
  return Begin::no;
}

class Rules {
 public:
  Rules(std::string_view stream, std::size_t max_message) : rest_{stream}, max_message_{max_message} {}

  Outcomes apply() {
    if (const std::size_t header = proxy_header(); header > 0) {
      add(Framer::Kind::proxy_header);
      drop(header);
    }
    if (rest_.starts_with("\xEF\xBB\xBF")) drop(3);
    for (;;) {
      rest_.remove_prefix(std::min(rest_.find_first_not_of(kTerminators), rest_.size()));
      if (rest_.empty()) return outcomes_;
      take_one();
    }
  }

 private:
  // The bytes of a PROXY header in front, also of one that the end cuts; 0: there is none.
  [[nodiscard]] std::size_t proxy_header() const {
    if (rest_.starts_with("PROXY ")) {
      const std::size_t line = rest_.find('\n') + 1;
      return line > 0 ? line <= 107 ? line : 0 : rest_.size() < 107 ? rest_.size() : 0;
    }
    constexpr std::string_view kMark{"\r\n\r\n\0\r\nQUIT\n", 12};
    if (!rest_.starts_with(kMark) || (rest_.size() > 12 && (rest_[12] & 0xF0) != 0x20)) return 0;
    if (rest_.size() < 16) return rest_.size();
    const std::size_t size = 16 + static_cast<unsigned char>(rest_[14]) * 256 + static_cast<unsigned char>(rest_[15]);
    return size <= 16'384 ? size : 0;
  }

  void take_one() {
    const std::size_t digits = std::min(rest_.find_first_not_of("0123456789"), rest_.size());
    if (rest_.front() != '0' && digits >= 1 && digits <= 7) {
      if (digits == rest_.size()) return take_rest();
      const Begin begin = rest_[digits] == ' ' ? begins_message(rest_.substr(digits + 1)) : Begin::no;
      if (begin == Begin::cut) return take_rest();
      if (begin == Begin::yes) return take_counted(std::stoul(std::string{rest_.substr(0, digits)}), digits + 1);
    }
    const bool follows_count = std::exchange(after_count_, false);
    const Begin begin = follows_count ? begins_message(rest_) : Begin::yes;
    if (begin == Begin::cut) return take_rest();
    if (begin == Begin::no) {
      add(Framer::Kind::stray);
      return drop(std::min(rest_.find_first_of(kLineEnds), rest_.size()) + 1);
    }
    take_line();
  }

  void take_line() {
    const std::size_t end = std::min(rest_.find_first_of(kLineEnds), rest_.size());
    if (end > max_message_) {
      add(Framer::Kind::too_long);
    } else {
      add(Framer::Kind::message, strip_trailer(rest_.substr(0, end)));
    }
    drop(end + 1);
  }

  void take_counted(std::size_t count, std::size_t prefix) {
    drop(prefix);
    const std::size_t line = rest_.find('\n') + 1;  // 0: there is none
    if (count > max_message_) {
      add(Framer::Kind::too_long);
      after_count_ = line == 0 || line > count;
      return drop(after_count_ ? count : line);
    }
    after_count_ = false;
    if (line != 0 && line < count) {
      add(Framer::Kind::bad_count);
      return drop(line);
    }
    if (rest_.size() < count) {
      add(Framer::Kind::bad_count);
      return drop(rest_.size());
    }
    add(Framer::Kind::message, strip_trailer(rest_.substr(0, count)));
    drop(count);
    after_count_ = true;
  }

  void take_rest() {
    if (rest_.size() > max_message_) {
      add(Framer::Kind::too_long);
    } else {
      add(Framer::Kind::message, strip_trailer(rest_));
    }
    drop(rest_.size());
  }

  void add(Framer::Kind kind, std::string_view bytes = {}) { outcomes_.emplace_back(kind, bytes); }
  void drop(std::size_t size) { rest_.remove_prefix(std::min(size, rest_.size())); }

  std::string_view rest_;
  std::size_t max_message_;
  bool after_count_ = false;
  Outcomes outcomes_;
};

// --- the framer

class Stream {
 public:
  explicit Stream(std::size_t max_message) : framer_{max_message}, max_message_{max_message} {}

  void receive(std::string_view bytes) {
    const std::span<char> space = framer_.writable();
    require(space.size() >= Framer::kChunk / 2, "there is room for a read");
    require(framer_.memory() <= 2 * (max_message_ + Framer::kChunk), "memory is bounded");
    std::memcpy(space.data(), bytes.data(), bytes.size());
    framer_.commit(bytes.size());
    while (const auto frame = framer_.next()) add(*frame);
  }

  void trim() { framer_.trim(); }

  void abandon() {
    if (!framer_.abandon()) return;
    require(framer_.memory() == 0, "what is abandoned takes no memory");
    require(!framer_.abandon(), "there is nothing to abandon twice");
  }

  Outcomes finish() {
    if (const auto frame = framer_.finish()) add(*frame);
    require(!framer_.next() && !framer_.finish(), "nothing is left behind the end");
    return outcomes_;
  }

  [[nodiscard]] const Outcomes& outcomes() const noexcept { return outcomes_; }

 private:
  void add(const Framer::Frame& frame) {
    const bool is_message = frame.kind == Framer::Kind::message;
    require(is_message != frame.bytes.empty(), "messages, and nothing else, have bytes");
    require(frame.bytes.size() <= max_message_, "messages keep to the limit");
    require(frame.bytes.find('\n') == std::string_view::npos, "no message has a line feed");
    outcomes_.emplace_back(frame.kind, frame.bytes);
  }

  Framer framer_;
  std::size_t max_message_;
  Outcomes outcomes_;
};

// Sizes of reads, from 1 byte to `most`.
class Sizes {
 public:
  Sizes(unsigned seed, std::size_t most) : state_{seed + 1}, most_{most} {}

  std::size_t next() {
    state_ = state_ * 1103515245 + 12345;
    return 1 + (state_ >> 16) % most_;
  }

 private:
  std::uint32_t state_;
  std::size_t most_;
};

Outcomes in_pieces(std::string_view text, std::size_t max_message, Sizes sizes) {
  Stream stream{max_message};
  while (!text.empty()) {
    const std::size_t size = std::min(text.size(), sizes.next());
    stream.receive(text.substr(0, size));
    text.remove_prefix(size);
    if (size % 8 == 0) stream.trim();
  }
  return stream.finish();
}

void expect_next_record(std::string_view text, std::size_t max_message, Sizes sizes) {
  constexpr std::string_view kNext = "\n<14>next\n";
  const ProxyExtent header = measure_proxy_header(std::string{text}.append(kNext));
  if (header.kind == ProxyExtent::Kind::unfinished || header.size > text.size() + 1) return;
  Stream stream{max_message};
  while (!text.empty()) {
    const std::size_t size = std::min(text.size(), sizes.next());
    stream.receive(text.substr(0, size));
    text.remove_prefix(size);
    if (size % 8 == 0) stream.abandon();
  }
  stream.receive(kNext);
  require(!stream.outcomes().empty() && stream.outcomes().back() == Outcome{Framer::Kind::message, "<14>next"},
          "the record behind the next line end is heard");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Input input{data, size};
  const std::size_t max_message = 8 + input.choice() % 128;
  const Outcomes expected = Rules{input.text(), max_message}.apply();
  for (const std::size_t most : {std::size_t{1}, std::size_t{20}, Framer::kChunk / 2}) {
    require(in_pieces(input.text(), max_message, {input.choice(), most}) == expected,
            "the frames are those of the rules");
  }
  expect_next_record(input.text(), max_message, {input.choice(), 20});
  return 0;
}
