// SPDX-License-Identifier: MIT
// Makes, changes and looks at files on an NFSv3 server without a mount, for the system tests.
//
//   nfs_files HOST NFS_PORT MOUNT_PORT EXPORT < COMMANDS
//
// A command is a word and its arguments, each ended by a NUL byte, so that any name can be told:
//
//   mkdir PATH            create PATH           symlink TARGET PATH     link OLD NEW
//   rename OLD NEW        remove PATH           (the whole tree, if it is a directory; the root's children, if it is /)
//   age PATH SECONDS      sets atime and mtime to this many seconds since the epoch; follows a symlink
//   stat PATH             writes one line, "ATIME MTIME" in nanoseconds since the epoch, or "-" if there is no PATH
//
// Paths begin with '/', which is the root of the export. The first command that fails ends it with status 1 and a line
// on standard error. Port 0 asks the portmapper.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <iostream>
#include <iterator>
#include <map>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <fcntl.h>
#include <nfsc/libnfs.h>
#include <sys/stat.h>
#include <sys/time.h>

namespace {

using Arguments = std::span<const std::string>;

class Export {
 public:
  Export(const std::string& host, const std::string& nfs_port, const std::string& mount_port, const std::string& path)
      : nfs_{nfs_init_context(), nfs_destroy_context} {
    std::string url = "nfs://" + host + "/?version=3";
    if (nfs_port != "0") url += "&nfsport=" + nfs_port + "&mountport=" + mount_port;
    const std::unique_ptr<nfs_url, decltype(&nfs_destroy_url)> parsed{nfs_parse_url_incomplete(nfs(), url.c_str()),
                                                                      nfs_destroy_url};
    if (!parsed) fail("parse", url);
    nfs_set_uid(nfs(), 0);
    nfs_set_gid(nfs(), 0);
    check(nfs_mount(nfs(), host.c_str(), path.c_str()), "mount", path);
  }

  void mkdir(const std::string& path) { check(nfs_mkdir(nfs(), path.c_str()), "mkdir", path); }

  void create(const std::string& path) {
    nfsfh* file = nullptr;
    check(nfs_creat(nfs(), path.c_str(), 0644, &file), "create", path);
    check(nfs_close(nfs(), file), "close", path);
  }

  void symlink(const std::string& target, const std::string& path) {
    check(nfs_symlink(nfs(), target.c_str(), path.c_str()), "symlink", path);
  }

  void link(const std::string& from, const std::string& to) {
    check(nfs_link(nfs(), from.c_str(), to.c_str()), "link", to);
  }

  void rename(const std::string& from, const std::string& to) {
    check(nfs_rename(nfs(), from.c_str(), to.c_str()), "rename", from);
  }

  void age(const std::string& path, const std::string& seconds) {
    timeval times[2] = {{std::stol(seconds), 0}, {std::stol(seconds), 0}};
    check(nfs_utimes(nfs(), path.c_str(), times), "age", path);
  }

  void stat(const std::string& path) {
    nfs_stat_64 found{};
    if (nfs_lstat64(nfs(), path.c_str(), &found) < 0) {
      std::cout << "-\n";
      return;
    }
    constexpr std::uint64_t kSecond = 1'000'000'000;
    std::cout << found.nfs_atime * kSecond + found.nfs_atime_nsec << ' '
              << found.nfs_mtime * kSecond + found.nfs_mtime_nsec << '\n';
  }

  void remove(const std::string& path) {
    nfs_stat_64 found{};
    check(nfs_lstat64(nfs(), path.c_str(), &found), "remove", path);
    if (!S_ISDIR(found.nfs_mode)) {
      check(nfs_unlink(nfs(), path.c_str()), "remove", path);
      return;
    }
    for (const std::string& name : names(path)) remove((path == "/" ? "" : path) + "/" + name);
    if (path != "/") check(nfs_rmdir(nfs(), path.c_str()), "remove", path);
  }

 private:
  [[nodiscard]] nfs_context* nfs() const { return nfs_.get(); }

  [[noreturn]] void fail(const char* what, const std::string& path) {
    throw std::runtime_error{std::string{what} + " " + path + ": " + nfs_get_error(nfs())};
  }

  void check(int result, const char* what, const std::string& path) {
    if (result < 0) fail(what, path);
  }

  std::vector<std::string> names(const std::string& directory) {
    nfsdir* opened = nullptr;
    check(nfs_opendir(nfs(), directory.c_str(), &opened), "list", directory);
    std::vector<std::string> result;
    while (const nfsdirent* entry = nfs_readdir(nfs(), opened)) {
      const std::string_view name = entry->name;
      if (name != "." && name != "..") result.emplace_back(name);
    }
    nfs_closedir(nfs(), opened);
    return result;
  }

  std::unique_ptr<nfs_context, decltype(&nfs_destroy_context)> nfs_;
};

struct Command {
  std::size_t arguments;
  std::function<void(Export&, Arguments)> run;
};

const std::map<std::string, Command>& commands() {
  static const std::map<std::string, Command> table{
      {"mkdir", {1, [](Export& e, Arguments a) { e.mkdir(a[0]); }}},
      {"create", {1, [](Export& e, Arguments a) { e.create(a[0]); }}},
      {"symlink", {2, [](Export& e, Arguments a) { e.symlink(a[0], a[1]); }}},
      {"link", {2, [](Export& e, Arguments a) { e.link(a[0], a[1]); }}},
      {"rename", {2, [](Export& e, Arguments a) { e.rename(a[0], a[1]); }}},
      {"remove", {1, [](Export& e, Arguments a) { e.remove(a[0]); }}},
      {"age", {2, [](Export& e, Arguments a) { e.age(a[0], a[1]); }}},
      {"stat", {1, [](Export& e, Arguments a) { e.stat(a[0]); }}},
  };
  return table;
}

std::vector<std::string> read_words() {
  const std::string input{std::istreambuf_iterator<char>{std::cin}, {}};
  std::vector<std::string> words;
  for (std::size_t begin = 0; begin < input.size();) {
    const std::size_t end = std::min(input.find('\0', begin), input.size());
    words.push_back(input.substr(begin, end - begin));
    begin = end + 1;
  }
  return words;
}

void run(Export& server, Arguments words) {
  while (!words.empty()) {
    const auto command = commands().find(words[0]);
    if (command == commands().end()) throw std::runtime_error{"unknown command: " + words[0]};
    const std::size_t count = command->second.arguments;
    if (words.size() <= count) throw std::runtime_error{"too few arguments: " + words[0]};
    command->second.run(server, words.subspan(1, count));
    words = words.subspan(1 + count);
  }
}

}  // namespace

int main(int argc, char* argv[]) try {
  if (argc != 5) throw std::runtime_error{"usage: nfs_files HOST NFS_PORT MOUNT_PORT EXPORT < COMMANDS"};
  Export server{argv[1], argv[2], argv[3], argv[4]};
  run(server, read_words());
  return EXIT_SUCCESS;
} catch (const std::exception& error) {
  std::cerr << "nfs_files: " << error.what() << '\n';
  return EXIT_FAILURE;
}
