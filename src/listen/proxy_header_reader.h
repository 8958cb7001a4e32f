// SPDX-License-Identifier: MIT
// The PROXY header of one connection, from its socket.
#pragma once

#include <cstdint>
#include <string>

#include "base/loop.h"
#include "ingest/parse/proxy_header.h"

namespace qatime::ingest {

// Takes a PROXY header off a socket, and no byte behind it: that is the TLS handshake, or a record. Never blocks.
// Thread: the one of the socket.
class ProxyHeaderReader {
 public:
  enum class HeaderState : std::uint8_t {
    unfinished,  // call again when the socket is readable
    done,        // source() says who sends
    departed,    // the peer closed without sending a byte
    failed,      // failure() says why
  };

  // Continues. `socket` is the same each time, and non-blocking. Call it until the result is not `unfinished`.
  [[nodiscard]] HeaderState read(loop::TcpSocket& socket);

  // Never invalid.
  [[nodiscard]] const ProxySource& source() const noexcept { return source_; }

  // The reason of the failure, in one line. It can contain text from the peer.
  [[nodiscard]] const std::string& failure() const noexcept { return failure_; }

 private:
  HeaderState fail(std::string failure);
  HeaderState conclude();

  std::string bytes_;  // of the header, as far as it has come
  ProxySource source_;
  std::string failure_;
};

}  // namespace qatime::ingest
