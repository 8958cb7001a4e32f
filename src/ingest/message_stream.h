// SPDX-License-Identifier: MIT
// A stream of bytes as messages for the intake.
#pragma once

#include <cassert>
#include <cstddef>
#include <optional>
#include <span>

#include "base/thread_checker.h"
#include "base/timestamp.h"
#include "ingest/intake.h"
#include "ingest/parse/framing.h"

namespace qatime::ingest {

// Cuts what one peer or one file has to say into messages, and counts what is none. The intake thread.
//
//   take(read(writable()));   again and again
//   end();                    at an orderly end
class MessageStream {
 public:
  // `max_message` is in bytes. `written` says when the newest message was, if that is not always just now. `intake`
  // outlives the stream.
  MessageStream(std::size_t max_message, Transport transport, Intake& intake, std::optional<Time> written = {}) noexcept
      : framer_{max_message}, transport_{transport}, written_{written}, intake_{intake} {}

  // From the unfinished message on.
  void set_max_message(std::size_t max_message) noexcept {
    assert(thread_.is_current());
    framer_.set_max_message(max_message);
  }

  // Where the next bytes go.
  [[nodiscard]] std::span<char> writable() {
    assert(thread_.is_current());
    return framer_.writable();
  }

  // So many bytes were read there just now. What is complete is handed over before it returns; whether a record was
  // among it.
  bool take(std::size_t size);

  // No more bytes come: the rest is a message.
  void end();

  // Gives back what the unfinished message does not need.
  void trim() {
    assert(thread_.is_current());
    framer_.trim();
  }

  // Drops the unfinished message, if there is one, and counts it as one for which there was no memory.
  void abandon();

  // Bytes of memory held.
  [[nodiscard]] std::size_t memory() const noexcept { return framer_.memory(); }

 private:
  bool deliver(const Framer::Frame& frame);

  ThreadChecker thread_;
  Framer framer_;
  const Transport transport_;
  const std::optional<Time> written_;
  Intake& intake_;
  bool last_malformed_ = false;
};

}  // namespace qatime::ingest
