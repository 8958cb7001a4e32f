// SPDX-License-Identifier: MIT
// All pages that look like leaves of a table are read, each in its newest committed version: none of what leads to
// them has to be right. An overflow page cannot look like one: it begins with the number of the next, and 0x0D000000
// pages would be too many.
#include "store/salvage.h"

#include <array>
#include <cstdint>
#include <optional>
#include <set>
#include <string_view>
#include <unordered_map>

#include "store/checksum.h"
#include "store/file_descriptor.h"

namespace qatime::backlog {
namespace {

constexpr std::array<std::uint32_t, 2> kPageSizes{16384, 4096};  // of our files, now and once
constexpr std::size_t kMaxPayload = 256 << 20;                   // bytes; no batch is near that
constexpr std::string_view kMagic{"SQLite format 3\0", 16};
constexpr std::size_t kFileHeader = 100;
constexpr std::size_t kLogHeader = 32;
constexpr std::size_t kFrameHeader = 24;

// Whole numbers, the highest byte first; zero beyond the end.
std::uint32_t big_endian(std::string_view bytes, std::size_t offset, std::size_t size) {
  std::uint32_t number = 0;
  for (std::size_t i = offset; i < offset + size; ++i) {
    number = number << 8 | (i < bytes.size() ? static_cast<unsigned char>(bytes[i]) : 0U);
  }
  return number;
}

// Takes a variable-length integer from the front of `bytes`; one that is cut is as if zeros followed.
std::uint64_t take_varint(std::string_view& bytes) {
  std::uint64_t number = 0;
  for (int i = 0; i < 9 && !bytes.empty(); ++i) {
    const auto byte = static_cast<unsigned char>(bytes.front());
    bytes.remove_prefix(1);
    if (i == 8) return number << 8 | byte;
    number = number << 7 | (byte & 0x7FU);
    if ((byte & 0x80U) == 0) break;
  }
  return number;
}

// A file that may be missing, and that the disk may refuse to read.
class RawFile {
 public:
  RawFile(const std::string& path, Unreadable unreadable) : path_{path}, unreadable_{unreadable} {
    if (!exists(path)) return;
    descriptor_.emplace(path, O_RDONLY | O_NONBLOCK);  // a FIFO keeps nobody waiting
    struct stat status{};
    if (::fstat(descriptor_->number(), &status) != 0) throw system_error(path);
    size_ = static_cast<std::uint64_t>(status.st_size);
  }

  [[nodiscard]] std::uint64_t size() const noexcept { return size_; }
  // Whether `into` is now what is at `offset`, as much as it has room for.
  [[nodiscard]] bool read(std::uint64_t offset, std::string& into) const {
    if (!descriptor_) return false;
    const ssize_t size = ::pread(descriptor_->number(), into.data(), into.size(), static_cast<off_t>(offset));
    if (size < 0 && unreadable_ == Unreadable::refuse) throw system_error(path_);
    return size == static_cast<ssize_t>(into.size());
  }

 private:
  std::string path_;
  Unreadable unreadable_;
  std::optional<FileDescriptor> descriptor_;
  std::uint64_t size_ = 0;
};

bool is_page_size(std::uint32_t size) { return size >= 512 && size <= 65536 && (size & (size - 1)) == 0; }

// The write-ahead log: which pages it has, up to its last commit.
class LogFrames {
 public:
  LogFrames(const std::string& path, Unreadable unreadable) : file_{path, unreadable} {
    std::string header(kLogHeader, '\0');
    if (!file_.read(0, header) || (big_endian(header, 0, 4) & ~1U) != 0x377F0682) return;
    big_endian_sums_ = (big_endian(header, 0, 4) & 1U) != 0;
    add(std::string_view{header}.substr(0, 24));
    page_size_ = big_endian(header, 8, 4);
    if (is_page_size(page_size_) && matches(header, 24)) read_frames(header.substr(16, 8));
  }

  // Zero without a commit.
  [[nodiscard]] std::uint32_t pages() const noexcept { return pages_; }
  [[nodiscard]] std::uint32_t page_size() const noexcept { return page_size_; }
  // Where the page is in this file, if it is.
  [[nodiscard]] std::optional<std::uint64_t> find(std::uint32_t page) const {
    const auto found = offsets_.find(page);
    if (found == offsets_.end()) return std::nullopt;
    return found->second;
  }
  [[nodiscard]] const RawFile& file() const noexcept { return file_; }

 private:
  void read_frames(std::string_view salts) {
    std::unordered_map<std::uint32_t, std::uint64_t> uncommitted;
    std::string frame(kFrameHeader + page_size_, '\0');
    for (std::uint64_t at = kLogHeader; file_.read(at, frame); at += frame.size()) {
      const std::string_view bytes = frame;
      add(bytes.substr(0, 8));
      add(bytes.substr(kFrameHeader));
      if (bytes.substr(8, 8) != salts || !matches(frame, 16)) return;
      uncommitted[big_endian(frame, 0, 4)] = at + kFrameHeader;
      const std::uint32_t pages_after_commit = big_endian(frame, 4, 4);
      if (pages_after_commit == 0) continue;
      pages_ = pages_after_commit;
      for (const auto& [page, offset] : uncommitted) offsets_[page] = offset;
      uncommitted.clear();
    }
  }

  // Of words in one of the two byte orders.
  void add(std::string_view bytes) {
    const auto word = [&](std::size_t offset) {
      const std::uint32_t number = big_endian(bytes, offset, 4);
      return big_endian_sums_ ? number : __builtin_bswap32(number);
    };
    for (std::size_t i = 0; i < bytes.size(); i += 8) {
      sums_[0] += word(i) + sums_[1];
      sums_[1] += word(i + 4) + sums_[0];
    }
  }
  [[nodiscard]] bool matches(std::string_view bytes, std::size_t offset) const {
    return sums_[0] == big_endian(bytes, offset, 4) && sums_[1] == big_endian(bytes, offset + 4, 4);
  }

  RawFile file_;
  bool big_endian_sums_ = false;
  std::array<std::uint32_t, 2> sums_{};
  std::uint32_t page_size_ = 0;
  std::uint32_t pages_ = 0;
  std::unordered_map<std::uint32_t, std::uint64_t> offsets_;
};

// The pages of a file and its log, numbered from 1.
class Pages {
 public:
  // Their size is `otherwise` where nothing says it.
  Pages(const std::string& path, Unreadable unreadable, std::uint32_t otherwise)
      : file_{path, unreadable}, log_{path + "-wal", unreadable}, size_{log_.page_size()} {
    std::string header(kFileHeader, '\0');
    if (const auto in_log = log_.find(1); in_log ? !log_.file().read(*in_log, header) : !file_.read(0, header)) {
      header.assign(kFileHeader, '\0');
    }
    const std::uint32_t stored = big_endian(header, 16, 2);
    if (log_.pages() == 0) size_ = stored == 1 ? 65536 : stored;
    knows_size_ = is_page_size(size_);
    if (!knows_size_) size_ = otherwise;
    if (const auto reserved = static_cast<unsigned char>(header[20]); reserved <= 32) reserved_ = reserved;
    has_map_ = big_endian(header, 52, 4) != 0;
    // The header's own count is of no use where it is most needed.
    count_ = log_.pages() > 0 ? log_.pages() : static_cast<std::uint32_t>(file_.size() / size_);
    map_.resize(size_);
  }

  [[nodiscard]] bool knows_size() const noexcept { return knows_size_; }
  [[nodiscard]] std::uint32_t count() const noexcept { return count_; }
  [[nodiscard]] std::size_t usable() const noexcept { return size_ - reserved_; }

  // Whether `into` is now the page.
  [[nodiscard]] bool read(std::uint32_t number, std::string& into) const {
    if (number == 0 || number > count_) return false;
    into.resize(size_);
    const auto in_log = log_.find(number);
    return in_log ? log_.file().read(*in_log, into) : file_.read(std::uint64_t{number - 1} * size_, into);
  }

  // Whether the page is one that the file notes as free.
  [[nodiscard]] bool is_free(std::uint32_t number) {
    if (!has_map_ || number < 3) return false;
    const auto pages_per_map = static_cast<std::uint32_t>(usable() / 5 + 1);
    std::uint32_t map = (number - 2) / pages_per_map * pages_per_map + 2;
    if (map == (1U << 30) / size_ + 1) ++map;  // the page with the bytes for locks
    if (map != map_number_) map_number_ = read(map, map_) ? map : 0;
    constexpr char kFree = 2;
    return map_number_ != 0 && number > map && map_.at(5 * std::size_t{number - map - 1}) == kFree;
  }

 private:
  RawFile file_;
  LogFrames log_;
  std::uint32_t size_;
  bool knows_size_ = false;
  std::uint32_t reserved_ = 0;
  bool has_map_ = false;
  std::uint32_t count_ = 0;
  std::string map_;
  std::uint32_t map_number_ = 0;  // of the page in map_; 0: none
};

// The whole payload of a cell whose beginning is `cell`, or nothing.
std::optional<std::string> payload(const Pages& pages, std::string_view cell, std::uint64_t size) {
  if (size > kMaxPayload) return std::nullopt;
  const std::size_t usable = pages.usable();
  if (size <= usable - 35) {
    if (size > cell.size()) return std::nullopt;
    return std::string{cell.substr(0, size)};
  }
  const std::size_t least = (usable - 12) * 32 / 255 - 23;
  const std::size_t wanted = least + (size - least) % (usable - 4);
  const std::size_t local = wanted <= usable - 35 ? wanted : least;
  if (local + 4 > cell.size()) return std::nullopt;
  std::string all{cell.substr(0, local)};
  std::uint32_t next = big_endian(cell, local, 4);
  for (std::string page; all.size() < size; next = big_endian(page, 0, 4)) {
    if (!pages.read(next, page)) return std::nullopt;
    all.append(page, 4, std::min(usable - 4, size - all.size()));
  }
  return all;
}

// The value of an integer column, whose bytes it takes from `body`.
std::optional<std::int64_t> take_integer(std::uint64_t type, std::string_view& body) {
  constexpr std::array<std::size_t, 7> kSizes{0, 1, 2, 3, 4, 6, 8};
  if (type == 8 || type == 9) return static_cast<std::int64_t>(type - 8);
  if (type == 0 || type >= kSizes.size() || body.size() < kSizes.at(type)) return std::nullopt;
  const std::size_t size = kSizes.at(type);
  std::uint64_t number = (static_cast<unsigned char>(body.front()) & 0x80U) != 0 ? ~std::uint64_t{0} : 0;
  for (const char byte : body.substr(0, size)) number = number << 8 | static_cast<unsigned char>(byte);
  body.remove_prefix(size);
  return static_cast<std::int64_t>(number);
}

std::optional<std::string_view> take_blob(std::uint64_t type, std::string_view& body) {
  if (type < 12 || type % 2 != 0 || (type - 12) / 2 > body.size()) return std::nullopt;
  const std::string_view blob = body.substr(0, (type - 12) / 2);
  body.remove_prefix(blob.size());
  return blob;
}

// The row of a record, in the order of the columns that log_file.h has; nothing if its checksums are not right.
std::optional<Batch> parse(std::uint64_t sequence, std::string_view record) {
  std::string_view header = record;
  const std::uint64_t header_size = take_varint(header);
  if (header_size > record.size()) return std::nullopt;
  std::string_view body = record.substr(header_size);
  (void)take_varint(header);  // the sequence, which is the key of the cell
  std::array<std::int64_t, 5> numbers{};
  for (auto& number : numbers) {
    const auto value = take_integer(take_varint(header), body);
    if (!value) return std::nullopt;
    number = *value;
  }
  const auto changes = take_blob(take_varint(header), body);
  const auto entries = take_blob(take_varint(header), body);
  if (!changes || !entries) return std::nullopt;
  Batch batch{sequence,
              Time{Time::duration{numbers[0]}},
              static_cast<std::uint32_t>(numbers[1]),
              static_cast<std::uint32_t>(numbers[2]),
              std::string{*changes},
              std::string{*entries}};
  if (checksum(batch, batch.changes) != numbers[3] || checksum(batch, batch.entries) != numbers[4]) return std::nullopt;
  return batch;
}

std::optional<Batch> read_cell(const Pages& pages, std::string_view cell) {
  const std::uint64_t size = take_varint(cell);
  const std::uint64_t sequence = take_varint(cell);
  const auto record = payload(pages, cell, size);
  return record ? parse(sequence, *record) : std::nullopt;
}

Salvaged scan(Pages& pages, const std::function<void(const Batch&)>& keep) {
  constexpr char kLeaf = 0x0D;
  Salvaged found;
  std::set<std::uint64_t> sequences;
  std::string page;
  for (std::uint32_t number = 2; number <= pages.count(); ++number) {
    if (!pages.read(number, page) || page.front() != kLeaf || pages.is_free(number)) continue;
    for (std::uint32_t cell = 0; cell < big_endian(page, 3, 2) && 8 + 2 * cell < page.size(); ++cell) {
      const std::size_t offset = big_endian(page, 8 + 2 * cell, 2);
      const auto batch = offset < pages.usable()
                             ? read_cell(pages, std::string_view{page}.substr(0, pages.usable()).substr(offset))
                             : std::nullopt;
      if (!batch) ++found.damaged;
      if (!batch || !sequences.insert(batch->sequence).second) continue;
      keep(*batch);
      ++found.batches;
      found.accesses += batch->accesses;
    }
  }
  return found;
}

}  // namespace

// As SQLite knows one: by its beginning, and by three bytes that never differ.
std::optional<std::string> first_page(const std::string& file) {
  const Pages pages{file, Unreadable::refuse, kPageSizes[0]};
  std::string page;
  if (!pages.knows_size() || !pages.read(1, page)) return std::nullopt;
  if (!page.starts_with(kMagic) || page.compare(21, 3, "\x40\x20\x20") != 0) return std::nullopt;
  return page;
}

// Where the size of pages is lost it is the one with which more is found.
Salvaged salvage(const std::string& file, const std::function<void(const Batch&)>& keep, Unreadable unreadable) {
  const auto [usual, once] = kPageSizes;
  Pages pages{file, unreadable, usual};
  if (pages.knows_size()) return scan(pages, keep);
  Pages small{file, unreadable, once};
  const auto count = [](Pages& some) { return scan(some, [](const Batch&) {}).batches; };
  return scan(count(small) > count(pages) ? small : pages, keep);
}

}  // namespace qatime::backlog
