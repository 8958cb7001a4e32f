// SPDX-License-Identifier: MIT
// A client of the HTTP server of a daemon.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace qatime::admin {

// No daemon answers. One line that says where and why.
class NoAnswer : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The text is not the URL of a daemon. One line that shows what such a URL looks like.
class BadUrl : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct HttpReply {
  unsigned status = 0;  // RFC 9110 section 15
  std::string body;
};

// Returns the response for `path` from the daemon at `url`, "http://HOST[:PORT][/PREFIX]". Takes at most 10 s, but
// resolving the host's name can take longer. Throws NoAnswer and BadUrl.
[[nodiscard]] HttpReply get(std::string_view url, std::string_view path);

}  // namespace qatime::admin
