// SPDX-License-Identifier: MIT
#include "store/state_directory.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <string_view>
#include <utility>

#include <sys/file.h>
#include <sys/vfs.h>

#include "config/config.h"

namespace qatime::backlog {
namespace {

std::string_view environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

// The name of a file system by its magic number (statfs(2)) if its locks or its syncing depend on other machines.
// FUSE is not among them: what containers have is often one.
const char* network_file_system(std::uint32_t magic) {
  constexpr std::array<std::pair<std::uint32_t, const char*>, 10> kNames{{{0x6969, "NFS"},
                                                                          {0x517B, "SMB"},
                                                                          {0xFE534D42, "SMB"},
                                                                          {0xFF534D42, "CIFS"},
                                                                          {0x00C36400, "CephFS"},
                                                                          {0x5346414F, "AFS"},
                                                                          {0x6B414653, "AFS"},
                                                                          {0x0BD00BD0, "Lustre"},
                                                                          {0x47504653, "GPFS"},
                                                                          {0x19830326, "BeeGFS"}}};
  const auto* found = std::ranges::find(kNames, magic, &std::pair<std::uint32_t, const char*>::first);
  return found == kNames.end() ? nullptr : found->second;
}

void refuse_network_file_system(const std::string& path) {
  struct statfs status{};
  if (::statfs(path.c_str(), &status) != 0) throw system_error(path);
  const char* name = network_file_system(static_cast<std::uint32_t>(status.f_type));
  if (!name) return;
  throw ConfigError{
      fmt::format("{} (backlog.directory) is on a network file system ({}), where a backlog would not be safe: choose "
                  "a local one",
                  path, name)};
}

// Empty if there is none.
std::string directory_of_environment() {
  const std::string_view given = environment("STATE_DIRECTORY");
  if (!given.empty()) return std::string{given.substr(0, given.find(':'))};
  if (::geteuid() == 0) return "/var/lib/qatime";
  const std::string_view state = environment("XDG_STATE_HOME");
  if (state.starts_with('/')) return fmt::format("{}/qatime", state);
  const std::string_view home = environment("HOME");
  return home.starts_with('/') ? fmt::format("{}/.local/state/qatime", home) : "";
}

void make_directory(const std::string& path) {
  if (path == directory_of_environment()) {
    std::error_code ignored;  // what it means is said by mkdir
    std::filesystem::create_directories(std::filesystem::path{path}.parent_path(), ignored);
  }
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) throw system_error(path);
}

std::string checked(const std::string& path) {
  refuse_place(path);
  make_directory(path);
  refuse_place(path);
  return path;
}

// The holder of the lock, as it wrote itself there.
std::string owner(const FileDescriptor& lock) {
  std::array<char, 32> text{};
  const ssize_t size = ::pread(lock.number(), text.data(), text.size(), 0);
  const std::string_view number{text.data(), static_cast<std::size_t>(std::max<ssize_t>(size, 0))};
  return std::string{number.substr(0, number.find('\n'))};
}

void take_lock(const FileDescriptor& lock, const std::string& path) {
  if (::flock(lock.number(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) throw system_error(path + "/lock");
    throw ConfigError{fmt::format("{} (backlog.directory) is in use by another qatime, process {}", path, owner(lock))};
  }
  // For the line above alone: a disk that is full keeps nobody from starting.
  const std::string number = fmt::format("{}\n", ::getpid());
  const auto size = static_cast<ssize_t>(number.size());
  if (::pwrite(lock.number(), number.data(), number.size(), 0) == size) {
    [[maybe_unused]] const auto cut = ::ftruncate(lock.number(), size);
  }
}

}  // namespace

std::string default_directory() {
  std::string directory = directory_of_environment();
  if (!directory.empty()) return directory;
  throw ConfigError{"set backlog.directory: none of $STATE_DIRECTORY, $XDG_STATE_HOME and $HOME says where to keep it"};
}

void refuse_place(const std::string& path) {
  if (!path.starts_with('/')) throw ConfigError{fmt::format("\"{}\" (backlog.directory) is not absolute", path)};
  if (exists(path)) refuse_network_file_system(path);
}

StateDirectory::StateDirectory(const std::string& path)
    : lock_path_{checked(path) + "/lock"}, lock_{lock_path_, O_RDWR | O_CREAT | O_NOFOLLOW} {
  take_lock(lock_, path);
}

bool StateDirectory::in_place() const noexcept {
  struct stat ours{};
  return ::fstat(lock_.number(), &ours) == 0 && identity(lock_path_) == FileIdentity{ours.st_dev, ours.st_ino};
}

}  // namespace qatime::backlog
