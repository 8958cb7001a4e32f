// SPDX-License-Identifier: MIT
#include "app/service_manager.h"

#include <array>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <string_view>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "catch.h"

namespace qatime::service_manager_test {
namespace {

using namespace std::chrono_literals;

// The socket of a service manager, bound to a path or, with '@', to an abstract name.
class ServiceManager {
 public:
  explicit ServiceManager(std::string name) : name_{std::move(name)} {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    name_.copy(address.sun_path, sizeof address.sun_path - 1);
    if (is_abstract()) address.sun_path[0] = '\0';
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name_.size());
    if (bind(descriptor_, reinterpret_cast<const sockaddr*>(&address), length) != 0) throw std::runtime_error{"bind"};
  }
  ServiceManager(const ServiceManager&) = delete;
  ServiceManager& operator=(const ServiceManager&) = delete;
  ~ServiceManager() {
    close(descriptor_);
    if (!is_abstract()) unlink(name_.c_str());
  }

  // The next message; "" if none has arrived.
  [[nodiscard]] std::string receive() const {
    std::array<char, 4096> buffer{};
    const ssize_t size = recv(descriptor_, buffer.data(), buffer.size(), MSG_DONTWAIT);
    return {buffer.data(), static_cast<std::size_t>(std::max<ssize_t>(size, 0))};
  }

 private:
  [[nodiscard]] bool is_abstract() const { return name_.starts_with('@'); }

  std::string name_;
  int descriptor_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
};

std::string unique_name(std::string_view beginning) {
  static int count = 0;
  return std::string{beginning} + "qatime-notify-" + std::to_string(getpid()) + "-" + std::to_string(count++);
}

std::string unique_path() { return unique_name(std::filesystem::temp_directory_path().string() + "/"); }

std::ptrdiff_t open_descriptors() {
  using Entries = std::filesystem::directory_iterator;
  return std::distance(Entries{"/proc/self/fd"}, Entries{});
}

// Sets a variable of the environment, or removes it, until the end of the scope.
class Variable {
 public:
  Variable(const char* name, const char* value) : name_{name} {
    if (value == nullptr) {
      unsetenv(name);
    } else {
      setenv(name, value, 1);
    }
  }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;
  ~Variable() { unsetenv(name_); }

 private:
  const char* name_;
};

TEST_CASE("Each message is one assignment in a datagram of its own") {
  const ServiceManager manager{unique_path()};
  const std::string path = unique_path();
  const ServiceManager named{path};
  const Notifier notifier{path};
  notifier.ready();
  notifier.status("3 pending, 17 applied");
  notifier.alive();
  notifier.reloading();
  notifier.stopping();
  CHECK(named.receive() == "READY=1");
  CHECK(named.receive() == "STATUS=3 pending, 17 applied");
  CHECK(named.receive() == "WATCHDOG=1");
  CHECK_THAT(named.receive(), Catch::Matches("RELOADING=1\nMONOTONIC_USEC=[1-9][0-9]*"));
  CHECK(named.receive() == "STOPPING=1");
  CHECK(named.receive().empty());
  CHECK(manager.receive().empty());
}

TEST_CASE("A socket with an abstract name is reached under exactly this name") {
  const std::string name = unique_name("@");
  const ServiceManager manager{name};
  Notifier{name}.ready();
  CHECK(manager.receive() == "READY=1");
}

TEST_CASE("A socket whose path has the greatest length is reached") {
  std::string path = unique_path() + "-";
  path.resize(sizeof sockaddr_un{}.sun_path - 1, 'n');
  const ServiceManager manager{path};
  Notifier{path}.ready();
  CHECK(manager.receive() == "READY=1");
}

TEST_CASE("The environment names the socket") {
  const std::string path = unique_path();
  const ServiceManager manager{path};
  const Variable socket{"NOTIFY_SOCKET", path.c_str()};
  Notifier::from_environment().ready();
  CHECK(manager.receive() == "READY=1");
}

TEST_CASE("Without a service manager nothing is sent, made or left open") {
  const auto before = open_descriptors();
  {
    const Variable socket{"NOTIFY_SOCKET", nullptr};
    Notifier::from_environment().ready();
  }
  Notifier{""}.ready();
  const std::string nobody = unique_path();
  Notifier{nobody}.ready();
  CHECK_FALSE(std::filesystem::exists(nobody));
  CHECK(open_descriptors() == before);
}

TEST_CASE("A socket is reached under a whole absolute path alone") {
  for (const std::string& name : {unique_name(""), unique_name("vsock:2:")}) {
    CAPTURE(name);
    const ServiceManager manager{name};
    Notifier{name}.ready();
    CHECK(manager.receive().empty());
  }
  std::string longest = unique_path() + "-";
  longest.resize(sizeof sockaddr_un{}.sun_path - 1, 'n');
  const ServiceManager manager{longest};
  for (const std::size_t more : {1U, 2U, 200U}) {
    CAPTURE(more);
    Notifier{longest + std::string(more, 'n')}.ready();
    CHECK(manager.receive().empty());
  }
}

TEST_CASE("A service manager that does not read holds nobody up for ever") {
  const std::string path = unique_path();
  const ServiceManager manager{path};
  const Notifier notifier{path};
  const int full = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  while (sendto(full, "x", 1, 0, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 1) {
  }
  close(full);
  notifier.alive();
  while (manager.receive() == "x") {
  }
  notifier.ready();
  CHECK(manager.receive() == "READY=1");
}

TEST_CASE("A copy reaches the same service manager and no descriptor stays open") {
  const std::string path = unique_path();
  const ServiceManager manager{path};
  const auto before = open_descriptors();
  const Notifier notifier{path};
  const Notifier copy = notifier;
  copy.ready();
  notifier.stopping();
  CHECK(manager.receive() == "READY=1");
  CHECK(manager.receive() == "STOPPING=1");
  CHECK(open_descriptors() == before);
}

TEST_CASE("The watchdog's timeout is that of the environment") {
  const Variable process{"WATCHDOG_PID", nullptr};
  SECTION("none") {
    const Variable timeout{"WATCHDOG_USEC", nullptr};
    CHECK_FALSE(watchdog_timeout());
  }
  SECTION("for whoever reads it") {
    const Variable timeout{"WATCHDOG_USEC", "30000000"};
    CHECK(watchdog_timeout() == 30s);
  }
  SECTION("for this process") {
    const Variable timeout{"WATCHDOG_USEC", "1500"};
    const Variable here{"WATCHDOG_PID", std::to_string(getpid()).c_str()};
    CHECK(watchdog_timeout() == 1500us);
  }
  SECTION("for another process") {
    const Variable timeout{"WATCHDOG_USEC", "30000000"};
    const Variable elsewhere{"WATCHDOG_PID", std::to_string(getppid()).c_str()};
    CHECK_FALSE(watchdog_timeout());
  }
  SECTION("not a number, or none that is a time") {
    for (const char* value : {"", "0", "-1", "30s", " 30", "99999999999999999999", "9223372036854776"}) {
      CAPTURE(value);
      const Variable timeout{"WATCHDOG_USEC", value};
      CHECK_FALSE(watchdog_timeout());
    }
  }
}

}  // namespace
}  // namespace qatime::service_manager_test
