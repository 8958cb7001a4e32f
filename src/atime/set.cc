// SPDX-License-Identifier: MIT
#include "atime/set.h"

#include <chrono>

#include "atime/update.h"

namespace qatime::atime {

nfs::Status set(nfs::Session& session, std::size_t export_index, const nfs::Object& object, const Choose& choose) {
  Traits traits;
  Update update{true};
  nfs::Session::Result found{nfs::Status::ok, object.attributes};
  for (auto next = Update::Next::again; next != Update::Next::done;) {
    if (next != Update::Next::again || !found.attributes) found = session.getattr(export_index, object.handle);
    if (!found.attributes) return found.status;
    if (next == Update::Next::read_back) {
      update.on_read_back(*found.attributes, traits);
      break;
    }
    const auto chosen = choose(*found.attributes);
    if (!chosen) return nfs::Status::ok;
    const auto [time, guard] = update.next(*found.attributes, *chosen, false, traits, std::chrono::steady_clock::now());
    const auto [status, after] = session.set_atime(export_index, object.handle, time, guard);
    next = update.on_reply(status, after, traits, std::chrono::steady_clock::now());
  }
  return update.status();
}

}  // namespace qatime::atime
