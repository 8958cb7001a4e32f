// SPDX-License-Identifier: MIT
#include "store/codec.h"

#include <cstddef>
#include <optional>
#include <type_traits>

namespace qatime::backlog {
namespace {

template <class Number>
void put(std::string& bytes, Number number) {
  auto rest = static_cast<std::make_unsigned_t<Number>>(number);
  char written[sizeof(Number)];
  for (char& byte : written) {
    byte = static_cast<char>(rest & 0xff);
    rest = static_cast<decltype(rest)>(std::uint64_t{rest} >> 8);
  }
  bytes.append(written, sizeof written);
}

void put(std::string& bytes, Time time) { put(bytes, std::int64_t{time.time_since_epoch().count()}); }

void put(std::string& bytes, std::string_view path) {
  put(bytes, static_cast<std::uint32_t>(path.size()));
  bytes += path;
}

// Reads what put() has written; nothing more once something could not be read.
class BlobReader {
 public:
  explicit BlobReader(std::string_view bytes) : bytes_{bytes} {}

  [[nodiscard]] bool at_end() const noexcept { return bytes_.empty(); }
  [[nodiscard]] bool failed() const noexcept { return failed_; }
  [[nodiscard]] std::string_view rest() const noexcept { return bytes_; }

  std::string_view text(std::size_t size) {
    if (size > bytes_.size()) {
      failed_ = true;
      bytes_ = {};
      return {};
    }
    const auto found = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    return found;
  }

  template <class Number>
  Number number() {
    std::uint64_t value = 0;
    unsigned shift = 0;
    for (const char byte : text(sizeof(Number))) {
      value |= std::uint64_t{static_cast<unsigned char>(byte)} << shift;
      shift += 8;
    }
    return static_cast<Number>(value);
  }

  char tag() { return number<char>(); }
  Time time() { return Time{std::chrono::nanoseconds{number<std::int64_t>()}}; }
  std::string_view path() { return text(number<std::uint32_t>()); }
  std::string_view name() { return text(number<std::uint8_t>()); }

 private:
  std::string_view bytes_;
  bool failed_ = false;
};

std::optional<Event> read_change(BlobReader& reader) {
  const char tag = reader.tag();
  const Time time = reader.time();
  const std::string_view path = reader.path();
  if (tag == 'M') return Move{path, reader.path(), time};
  if (tag == 'R' || tag == 'T') return Removal{path, tag == 'T', time};
  return std::nullopt;
}

}  // namespace

void AccessEncoder::add(std::string_view directory, std::string_view name, Time time) {
  if (directory_ != directory) {
    directory_ = directory;
    bytes_ += 'D';
    put(bytes_, directory);
  }
  bytes_ += 'A';
  put(bytes_, static_cast<std::uint8_t>(name.size()));
  bytes_ += name;
  put(bytes_, time);
}

bool AccessDecoder::next() {
  BlobReader reader{rest_};
  char tag = reader.tag();
  if (tag == 'D') {
    directory_ = reader.path();
    tag = reader.tag();
  }
  name_ = reader.name();
  time_ = reader.time();
  if (tag != 'A' || directory_.empty() || reader.failed()) return false;
  rest_ = reader.rest();
  ++count_;
  return true;
}

void encode(const Move& move, std::string& bytes) {
  bytes += 'M';
  put(bytes, move.time);
  put(bytes, move.path);
  put(bytes, move.target);
}

void encode(const Removal& removal, std::string& bytes) {
  bytes += removal.subtree ? 'T' : 'R';
  put(bytes, removal.time);
  put(bytes, removal.path);
}

void decode_changes(std::string_view bytes, const std::function<void(const Event& change)>& visit) {
  BlobReader reader{bytes};
  while (!reader.at_end()) {
    const auto change = read_change(reader);
    if (!change || reader.failed()) return;
    visit(*change);
  }
}

}  // namespace qatime::backlog
