// SPDX-License-Identifier: MIT
// In place of tls.cc where hiredis has no TLS: before 1.0, or without its library for it.
#include "redis/connection.h"

namespace qatime::backlog::redis {

bool has_tls() noexcept { return false; }

std::string start_tls(redisContext* /*context*/, const std::string& /*host*/) { return "hiredis was built without it"; }

}  // namespace qatime::backlog::redis
