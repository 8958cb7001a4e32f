// SPDX-License-Identifier: MIT
#include "nfs/slow_names.h"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <dlfcn.h>
#include <netdb.h>

namespace qatime::nfs::testing {
namespace {

struct Gate {
  std::mutex mutex;
  std::condition_variable changed;
  // guarded by mutex:
  bool is_closed = false;
  std::size_t waiting = 0;

  void set_closed(bool closed) {
    std::unique_lock lock{mutex};
    is_closed = closed;
    changed.notify_all();
    if (!closed) changed.wait(lock, [this] { return waiting == 0; });
  }

  void pass() {
    std::unique_lock lock{mutex};
    ++waiting;
    changed.wait_for(lock, std::chrono::minutes{1}, [this] { return !is_closed; });
    --waiting;
    changed.notify_all();
  }
};

// Threads that ask may outlive all static objects.
Gate& gate() {
  static auto& the_gate = *new Gate;
  return the_gate;
}

struct Moving {
  std::mutex mutex;
  // guarded by mutex:
  std::vector<std::string> addresses;
  std::size_t lookups = 0;
};

Moving& moving() {
  static auto& the_name = *new Moving;
  return the_name;
}

std::vector<std::string> addresses_now() {
  const std::lock_guard lock{moving().mutex};
  ++moving().lookups;
  return moving().addresses;
}

}  // namespace

MovingName::MovingName(std::vector<std::string> addresses) { set(std::move(addresses)); }

MovingName::~MovingName() { set({}); }

// NOLINTNEXTLINE(readability-convert-member-functions-to-static)
void MovingName::set(std::vector<std::string> addresses) {
  const std::lock_guard lock{moving().mutex};
  moving().addresses = std::move(addresses);
  moving().lookups = 0;
}

// NOLINTNEXTLINE(readability-convert-member-functions-to-static)
std::size_t MovingName::lookups() const {
  const std::lock_guard lock{moving().mutex};
  return moving().lookups;
}

SlowNames::SlowNames() { gate().set_closed(true); }

SlowNames::~SlowNames() { answer(); }

// NOLINTNEXTLINE(readability-convert-member-functions-to-static)
void SlowNames::answer() { gate().set_closed(false); }

// NOLINTNEXTLINE(readability-convert-member-functions-to-static)
std::size_t SlowNames::waiting() const {
  const std::lock_guard lock{gate().mutex};
  return gate().waiting;
}

}  // namespace qatime::nfs::testing

extern "C" int getaddrinfo(const char* node, const char* service, const addrinfo* hints, addrinfo** found) {
  using namespace qatime::nfs::testing;
  static const auto next = reinterpret_cast<decltype(&::getaddrinfo)>(::dlsym(RTLD_NEXT, "getaddrinfo"));
  if (node != nullptr && std::string_view{node} == kSlowName) {
    gate().pass();
    return next("127.0.0.1", service, nullptr, found);  // one for each type of socket
  }
  if (node != nullptr && std::string_view{node} == kMovingName) {
    addrinfo** end = found;
    *end = nullptr;
    for (const std::string& address : addresses_now()) {  // the C library frees each by itself
      if (next(address.c_str(), service, hints, end) == 0) end = &(*end)->ai_next;
    }
    return *found == nullptr ? EAI_NONAME : 0;
  }
  return next(node, service, hints, found);
}
