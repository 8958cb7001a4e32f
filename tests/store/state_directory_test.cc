// SPDX-License-Identifier: MIT
#include "store/state_directory.h"

#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>

#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "catch.h"
#include "config/config.h"
#include "store/batches.h"

// Instead of that of the C library.
extern "C" int statfs(const char* path, struct statfs* status) noexcept {
  using qatime::backlog::pretended_file_system;
  using qatime::backlog::pretended_room;
  const long result = ::syscall(SYS_statfs, path, status);
  if (result == 0 && pretended_file_system) {
    status->f_type = static_cast<__fsword_t>(*pretended_file_system);
  }
  if (result == 0 && pretended_room) status->f_bavail = *pretended_room / static_cast<unsigned long>(status->f_bsize);
  return static_cast<int>(result);
}

namespace qatime::backlog::state_directory_test {
namespace {

// The environment of a test.
class Environment {
 public:
  explicit Environment(const std::map<std::string, std::string>& variables) {
    for (const char* name : {"STATE_DIRECTORY", "XDG_STATE_HOME", "HOME"}) {
      if (const char* value = std::getenv(name)) before_[name] = value;
      ::unsetenv(name);
    }
    for (const auto& [name, value] : variables) ::setenv(name.c_str(), value.c_str(), 1);
  }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;
  ~Environment() {
    for (const char* name : {"STATE_DIRECTORY", "XDG_STATE_HOME", "HOME"}) ::unsetenv(name);
    for (const auto& [name, value] : before_) ::setenv(name.c_str(), value.c_str(), 1);
  }

 private:
  std::map<std::string, std::string> before_;
};

std::string refusal(const std::string& path) {
  try {
    const StateDirectory directory{path};
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("TheDefaultDirectoryIsWhatTheEnvironmentSays") {
  const std::string root_has = "/var/lib/qatime";
  const bool root = ::geteuid() == 0;
  CHECK((Environment{{{"STATE_DIRECTORY", "/a:/b"}, {"HOME", "/h"}}}, default_directory()) == "/a");
  CHECK((Environment{{{"XDG_STATE_HOME", "/x"}, {"HOME", "/h"}}}, default_directory()) ==
        (root ? root_has : "/x/qatime"));
  CHECK((Environment{{{"XDG_STATE_HOME", "x"}, {"HOME", "/h"}}}, default_directory()) ==
        (root ? root_has : "/h/.local/state/qatime"));
  const Environment nothing{{}};
  if (!root) CHECK_THROWS_AS(default_directory(), ConfigError);
}

TEST_CASE("OnlyTheDefaultDirectoryIsMadeWithThoseAboveIt") {
  const TemporaryDirectory place;
  const std::string path = place.path() + "/a/b/qatime";
  CHECK_THROWS_AS(StateDirectory{path}, StoreError);
  const Environment environment{{{"STATE_DIRECTORY", path}}};
  const StateDirectory directory{path};
  CHECK(std::filesystem::is_directory(path));
}

TEST_CASE("APathThatIsNotAbsoluteIsRefused") { CHECK_THAT(refusal("state"), Catch::Contains("not absolute")); }

TEST_CASE("NetworkFileSystemsAreRefusedByNameAndOthersAreNot") {
  const TemporaryDirectory place;
  for (const auto& [magic, name] : std::map<unsigned, std::string>{{0x6969, "NFS"},
                                                                   {0xFF534D42, "CIFS"},
                                                                   {0xFE534D42, "SMB"},
                                                                   {0x00C36400, "CephFS"},
                                                                   {0x0BD00BD0, "Lustre"}}) {
    pretended_file_system = magic;
    CHECK_THAT(refusal(place.path()), Catch::Contains("network file system (" + name + ")"));
  }
  pretended_file_system = 0x65735546;  // FUSE
  CHECK(refusal(place.path()).empty());
  pretended_file_system.reset();
  CHECK(refusal(place.path()).empty());
}

TEST_CASE("ASecondProcessIsToldWhoHasTheDirectoryUntilThatOneEnds") {
  const TemporaryDirectory place;
  {
    const StateDirectory mine{place.path()};
    const pid_t child = ::fork();
    if (child == 0) {
      const std::string line = refusal(place.path());
      ::_exit(line.find("in use by another qatime, process " + std::to_string(::getppid())) != std::string::npos ? 0
                                                                                                                 : 1);
    }
    int status = -1;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(status == 0);
    CHECK(mine.in_place());
    std::filesystem::remove(place.path() + "/lock");
    CHECK_FALSE(mine.in_place());
  }
  CHECK(refusal(place.path()).empty());
}

}  // namespace qatime::backlog::state_directory_test
