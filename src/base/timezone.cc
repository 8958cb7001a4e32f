// SPDX-License-Identifier: MIT
// absl::TimeZone reads the same files in far fewer lines of ours, but a record of RFC 3164 would take 1.1 times the
// instructions. It also takes names that the database does not have, like localtime and Fixed/UTC+05:00:00.
#include "base/timezone.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>

#include "base/path.h"

namespace qatime {
namespace {

using namespace std::chrono;

// Cuts what it reads off the bytes; of what is not there it reads nothing and zero.
class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) noexcept : bytes_{bytes} {}

  std::string_view take(std::size_t size) noexcept {
    if (size > bytes_.size()) {
      ok_ = false;
      return {};
    }
    const std::string_view taken = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    return taken;
  }

  // Of `size` bytes, big-endian, in two's complement.
  template <class Integer>
  Integer number() noexcept {
    std::uint64_t value = 0;
    for (const char c : take(sizeof(Integer))) value = value << 8 | static_cast<unsigned char>(c);
    return static_cast<Integer>(value);
  }

  [[nodiscard]] bool ok() const noexcept { return ok_; }
  [[nodiscard]] std::string_view rest() const noexcept { return bytes_; }

 private:
  std::string_view bytes_;
  bool ok_ = true;
};

// RFC 8536 section 3.1.
struct FileHeader {
  bool ok;
  std::uint32_t isutcnt, isstdcnt, leapcnt, timecnt, typecnt, charcnt;

  // Of the data block behind it, with times of this many bytes.
  [[nodiscard]] std::size_t block_size(std::size_t time_size) const noexcept {
    return timecnt * (time_size + 1) + typecnt * std::size_t{6} + charcnt + leapcnt * (time_size + 4) + isstdcnt +
           isutcnt;
  }
};

FileHeader read_header(ByteReader& reader) {
  const bool is_magic = reader.take(4) == "TZif";
  const bool has_version = reader.take(16) >= "2";
  FileHeader header{};
  for (std::uint32_t* const count :
       {&header.isutcnt, &header.isstdcnt, &header.leapcnt, &header.timecnt, &header.typecnt, &header.charcnt}) {
    *count = reader.number<std::uint32_t>();
  }
  header.ok = is_magic && has_version && reader.ok();
  return header;
}

std::string read_file(const std::string& path) {
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(path, ignored)) return {};
  std::ifstream file{path, std::ios::binary};
  return {std::istreambuf_iterator<char>{file}, {}};
}

}  // namespace

std::optional<TimeZone> TimeZone::load(std::string_view name, const std::string& directory) {
  if (name == "UTC") return TimeZone{};
  const std::string below = std::string{"/"}.append(name);
  if (!normal_path(below)) return std::nullopt;
  return parse(name, read_file(directory + below));
}

std::optional<TimeZone> TimeZone::parse(std::string_view name, std::string_view bytes) {
  ByteReader reader{bytes};
  const FileHeader old = read_header(reader);
  if (!old.ok) return std::nullopt;
  reader.take(old.block_size(4));
  const FileHeader header = read_header(reader);
  ByteReader block{reader.take(header.block_size(8))};
  if (!header.ok || !reader.ok() || header.leapcnt > 0 || header.typecnt == 0) return std::nullopt;

  TimeZone zone;
  zone.name_ = name;
  zone.transitions_.resize(header.timecnt);
  for (Transition& transition : zone.transitions_) transition.from = sys_seconds{seconds{block.number<std::int64_t>()}};
  const std::string_view types = block.take(header.timecnt);
  std::vector<seconds> offsets(header.typecnt);
  for (seconds& offset : offsets) {
    offset = seconds{block.number<std::int32_t>()};
    block.take(2);  // whether it is daylight saving time, and its abbreviation
  }
  zone.first_ = offsets.front();
  for (std::size_t i = 0; i < types.size(); ++i) {
    const auto type = static_cast<unsigned char>(types[i]);
    if (type >= offsets.size()) return std::nullopt;
    zone.transitions_[i].offset = offsets[type];
  }

  const std::string_view footer = reader.rest();  // LF, a TZ string or nothing, LF
  if (footer.size() < 2 || footer.front() != '\n' || footer.back() != '\n') return std::nullopt;
  if (footer.size() == 2) return zone;
  zone.rule_ = PosixZone::parse(footer.substr(1, footer.size() - 2));
  return zone.rule_ ? std::optional{zone} : std::nullopt;
}

seconds TimeZone::offset_at(sys_seconds time) const {
  const auto next = std::ranges::upper_bound(transitions_, time, {}, &Transition::from);
  if (next == transitions_.end() && rule_) return rule_->offset_at(time);
  return next == transitions_.begin() ? first_ : std::prev(next)->offset;
}

sys_seconds TimeZone::to_utc(local_seconds local) const {
  // Zones are less than a day away from UTC, and change their offset less than once in two days.
  const sys_seconds as_if_utc{local.time_since_epoch()};
  const seconds before = offset_at(as_if_utc - days{1});
  const seconds after = offset_at(as_if_utc + days{1});
  if (offset_at(as_if_utc - before) == before || offset_at(as_if_utc - after) != after) return as_if_utc - before;
  return as_if_utc - after;
}

}  // namespace qatime
