// SPDX-License-Identifier: MIT
// TLS of syslog connections (RFC 5425), the side that receives. The one user of OpenSSL.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <boost/system/error_code.hpp>

#include "config/config.h"

struct ssl_ctx_st;
struct ssl_st;

namespace qatime::ingest {

// Our certificate and the certificates we trust, from the files of [syslog.tls]. Reads them once. Any thread.
class TlsSettings {
 public:
  // Throws ConfigError. Ignores SIGPIPE in the whole process, because OpenSSL might write to a closed socket.
  explicit TlsSettings(const Config& config);
  ~TlsSettings();
  TlsSettings(const TlsSettings&) = delete;
  TlsSettings& operator=(const TlsSettings&) = delete;

  // Describes our certificate for a log line: its subject and how long it is valid.
  [[nodiscard]] std::string describe() const;

 private:
  friend class TlsStream;

  std::unique_ptr<ssl_ctx_st, void (*)(ssl_ctx_st*)> context_;
  std::vector<std::string> permitted_peers_;
};

// One connection. It never blocks. Thread: the one of its socket.
class TlsStream {
 public:
  enum class Handshake : std::uint8_t {
    unfinished,  // call again when the socket is ready
    done,
    departed,   // the peer closed without sending a byte
    failed,     // failure() says why
    untrusted,  // the peer has no certificate or not a trusted one; failure() says why
  };

  // `socket` is accepted, non-blocking, and open as long as the caller calls functions of this.
  TlsStream(std::shared_ptr<const TlsSettings> settings, int socket);
  ~TlsStream();
  TlsStream(const TlsStream&) = delete;
  TlsStream& operator=(const TlsStream&) = delete;

  // Continues the handshake. Call it until the result is not `unfinished`.
  [[nodiscard]] Handshake shake_hands();

  // The reason of the failure, in one line. It can contain text from the peer.
  [[nodiscard]] const std::string& failure() const noexcept { return failure_; }

  // Reads into `space` until it is full, and returns the number of bytes. If it is not full, `error` says why:
  //   would_block   no more bytes have come
  //   eof           the peer closed in order (close_notify)
  //   other errors  the connection is broken. An end without close_notify is one, because an attacker can cut a
  //                 connection, and a cut message might look complete
  std::size_t read_some(std::span<char> space, boost::system::error_code& error);

  // Whether to continue when the socket is writable; otherwise when it is readable.
  [[nodiscard]] bool wants_write() const noexcept;

  // Sends close_notify unless the connection is broken. The caller closes the socket.
  void close() noexcept;

 private:
  Handshake explain(int error);

  std::shared_ptr<const TlsSettings> settings_;
  std::unique_ptr<ssl_st, void (*)(ssl_st*)> ssl_;
  std::string failure_;
  bool has_proxy_header_ = false;
  bool is_broken_ = false;
};

}  // namespace qatime::ingest
