// SPDX-License-Identifier: MIT
// A stream of bytes as messages for the intake.
#pragma once

#include <cassert>
#include <cstddef>
#include <optional>
#include <span>

#include "base/address.h"
#include "base/thread_checker.h"
#include "base/timestamp.h"
#include "ingest/intake.h"
#include "ingest/parse/framing.h"

namespace qatime::ingest {

// Cuts the bytes of one peer or file into messages for the intake, and counts malformed ones. Thread: the intake's.
//
//   take(read(writable()));   repeatedly
//   end();                    at an orderly end
class MessageStream {
 public:
  // `max_message` is in bytes. `sender` is the other end of the connection, for the log. `intake` outlives the stream.
  MessageStream(std::size_t max_message, Transport transport, Intake& intake, const Address& sender) noexcept
      : framer_{max_message}, transport_{transport}, sender_{sender}, intake_{intake} {}

  // Of a file; `written` is when it was last written to, or nothing if it is live.
  MessageStream(std::size_t max_message, Transport transport, Intake& intake, std::optional<Time> written = {}) noexcept
      : framer_{max_message}, transport_{transport}, written_{written}, intake_{intake} {}

  // Sets the limit, in bytes, for the unfinished message and those after it.
  void set_max_message(std::size_t max_message) noexcept {
    assert(thread_.is_current());
    framer_.set_max_message(max_message);
  }

  // Sets when the source was last written to, for what is taken in from now on.
  void set_written(std::optional<Time> written) noexcept {
    assert(thread_.is_current());
    written_ = written;
  }

  // Returns the space for the next bytes.
  [[nodiscard]] std::span<char> writable() {
    assert(thread_.is_current());
    return framer_.writable();
  }

  // Takes in `size` bytes that were read into writable(). Passes complete messages to the intake before it returns.
  // Returns whether one of them was a record.
  bool take(std::size_t size);

  // Ends the stream. The bytes left are the last message.
  void end();

  // Frees the memory that the unfinished message does not need.
  void trim() {
    assert(thread_.is_current());
    framer_.trim();
  }

  // Drops the unfinished message, if there is one, and counts it as Malformed::memory.
  void abandon();

  // Bytes of memory held.
  [[nodiscard]] std::size_t memory() const noexcept { return framer_.memory(); }

 private:
  bool deliver(const Framer::Frame& frame);

  ThreadChecker thread_;
  Framer framer_;
  const Transport transport_;
  std::optional<Time> written_{};
  const std::optional<Address> sender_{};
  Intake& intake_;
  bool last_malformed_ = false;
};

}  // namespace qatime::ingest
