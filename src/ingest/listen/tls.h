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

// Our certificate and whom we trust: what the files of [syslog.tls] held when it was made. Any thread.
class TlsSettings {
 public:
  // Throws ConfigError. Ignores SIGPIPE in the whole process: OpenSSL writes to sockets that may be closed.
  explicit TlsSettings(const Config& config);
  ~TlsSettings();
  TlsSettings(const TlsSettings&) = delete;
  TlsSettings& operator=(const TlsSettings&) = delete;

  // Whose certificate we show and until when it is valid, for a log line.
  [[nodiscard]] std::string describe() const;

 private:
  friend class TlsStream;

  std::unique_ptr<ssl_ctx_st, void (*)(ssl_ctx_st*)> context_;
  std::vector<std::string> permitted_peers_;
};

// One connection. It never waits. The thread of its socket.
class TlsStream {
 public:
  enum class Handshake : std::uint8_t {
    unfinished,  // call again when the socket is ready
    done,
    departed,   // the peer closed without having sent a byte
    failed,     // failure() says why; likewise below
    untrusted,  // the certificate of the peer, or that it has none
  };

  // `socket` does not block, was accepted and is open for as long as functions of this are called.
  TlsStream(std::shared_ptr<const TlsSettings> settings, int socket);
  ~TlsStream();
  TlsStream(const TlsStream&) = delete;
  TlsStream& operator=(const TlsStream&) = delete;

  // Goes on with the handshake, until it is no longer unfinished.
  [[nodiscard]] Handshake shake_hands();

  // One line; it may hold what the peer says of itself.
  [[nodiscard]] const std::string& failure() const noexcept { return failure_; }

  // Puts what has come into `space` until that is full; returns how many bytes. `error` says why it is not full:
  // would_block; eof after an orderly close (close_notify); anything else is a broken connection, and so is an end
  // without close_notify: whoever is on the way can cut a connection, and a cut message may look whole.
  std::size_t read_some(std::span<char> space, boost::system::error_code& error);

  // Whether it goes on when the socket is writable, not when it is readable.
  [[nodiscard]] bool wants_write() const noexcept;

  // Tells the peer that this is the end, if the connection is not broken. The socket is still to be closed.
  void close() noexcept;

 private:
  Handshake explain(int error);

  std::shared_ptr<const TlsSettings> settings_;
  std::unique_ptr<ssl_st, void (*)(ssl_st*)> ssl_;
  std::string failure_;
  bool is_broken_ = false;
};

}  // namespace qatime::ingest
