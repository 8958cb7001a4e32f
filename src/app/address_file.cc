// SPDX-License-Identifier: MIT
#include "app/address_file.h"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <optional>
#include <string_view>

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own_address.h"
#include "base/timestamp.h"
#include "store/file_descriptor.h"
#include "store/state_directory.h"
#include "store/store_error.h"

namespace qatime {
namespace {

constexpr log::Logger kAddressLog{"addresses"};

constexpr std::string_view kForm{"qatime addresses 1\n"};
// The bound of a file. Ours have a tenth of it.
constexpr std::size_t kMostBytes = 64 << 10;

// Not said of a file that we may not look at.
bool is_absent(const std::string& path) {
  struct stat status{};
  return ::stat(path.c_str(), &status) != 0 && errno == ENOENT;
}

std::string read_whole(const std::string& path) {
  const backlog::FileDescriptor file{path, O_RDONLY | O_NONBLOCK};  // a FIFO keeps nobody waiting
  std::string text(kMostBytes, '\0');
  const ssize_t size = ::read(file.number(), text.data(), text.size());
  if (size < 0) throw backlog::system_error(path);
  text.resize(static_cast<std::size_t>(size));
  return text;
}

void replace(const std::string& path, std::string_view text) {
  const std::string draft = path + ".new";
  ::unlink(draft.c_str());
  const backlog::FileDescriptor file{draft, O_WRONLY | O_CREAT | O_EXCL};
  const ssize_t size = ::write(file.number(), text.data(), text.size());
  if (size >= 0 && static_cast<std::size_t>(size) != text.size()) errno = ENOSPC;
  if (size != static_cast<ssize_t>(text.size()) || ::fsync(file.number()) != 0) throw backlog::system_error(draft);
  if (std::rename(draft.c_str(), path.c_str()) != 0) throw backlog::system_error(path);
}

std::string format(const std::vector<OwnAddress>& addresses) {
  std::string text{kForm};
  for (const OwnAddress& own : addresses) {
    text += fmt::format("{} {}\n", format_address(own.address), format_rfc3339(own.until));
  }
  return text;
}

std::optional<OwnAddress> parse_line(std::string_view line) {
  const std::size_t blank = line.find(' ');
  if (blank == line.npos) return std::nullopt;
  const auto address = parse_address(line.substr(0, blank));
  const auto until = parse_rfc3339(line.substr(blank + 1));
  if (!address || !until || !fits_nfstime3(*until)) return std::nullopt;
  return OwnAddress{*address, *until};
}

// Returns nothing unless all of it can be read.
std::optional<std::vector<OwnAddress>> parse(std::string_view text) {
  if (!text.starts_with(kForm)) return std::nullopt;
  text.remove_prefix(kForm.size());
  std::vector<OwnAddress> addresses;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    const auto own = end == text.npos ? std::nullopt : parse_line(text.substr(0, end));
    if (!own) return std::nullopt;
    addresses.push_back(*own);
    text.remove_prefix(end + 1);
  }
  return addresses;
}

// Returns "" if there is no directory. The backlog, which needs one, says so.
std::string file_in(const BacklogConfig& config) {
  try {
    return (config.directory.empty() ? backlog::default_directory() : config.directory) + "/addresses";
  } catch (const ConfigError&) {
    return {};
  }
}

}  // namespace

AddressFile::AddressFile(const BacklogConfig& config, ingest::SelfAddresses& addresses)
    : path_{file_in(config)}, addresses_{addresses} {}

bool AddressFile::read() {
  if (is_absent(path_)) return false;
  try {
    const auto former = parse(read_whole(path_));
    if (!former) throw backlog::StoreError{path_ + ": is damaged, or another version wrote it"};
    addresses_.add_former(*former, now());
    return !former->empty();
  } catch (const backlog::StoreError& error) {
    kAddressLog.warning("{}; our directory listings of the last run may count as accesses", error.what());
    return false;
  }
}

void AddressFile::write_if_due() {
  const auto known = addresses_.known(now());
  const auto moment = std::chrono::steady_clock::now();
  const bool is_same = std::ranges::equal(known, written_, {}, &OwnAddress::address);
  if (known.empty() || moment < retry_ || (is_same && moment < due_)) return;
  try {
    replace(path_, format(known));
    written_.clear();
    for (const OwnAddress& own : known) written_.push_back(own.address);
    due_ = moment + kRefresh;
  } catch (const backlog::StoreError& error) {
    retry_ = moment + kRetry;
    kAddressLog.warning(refused_, "{}; after a restart, our own directory listings may count as accesses",
                        error.what());
  }
}

}  // namespace qatime
