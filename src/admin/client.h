// SPDX-License-Identifier: MIT
// A client of the HTTP server of a daemon.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace qatime::admin {

// Nobody answers there: one line that says where and why.
class NoAnswer : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// No URL of a daemon: one line that says what one looks like.
class BadUrl : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct HttpReply {
  unsigned status = 0;  // RFC 9110 section 15
  std::string body;
};

// What `path` of the daemon at `url`, "http://HOST[:PORT][/PREFIX]", has. Waits for 10 s at most, once the name of the
// host is resolved. Throws NoAnswer and BadUrl.
[[nodiscard]] HttpReply get(std::string_view url, std::string_view path);

}  // namespace qatime::admin
