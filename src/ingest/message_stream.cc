// SPDX-License-Identifier: MIT
#include "ingest/message_stream.h"

#include <cassert>

namespace qatime::ingest {

bool MessageStream::take(std::size_t size) {
  assert(thread_.is_current());
  framer_.commit(size);
  intake_.begin(transport_, size, written_);
  bool is_record = false;
  while (const auto frame = framer_.next()) is_record = deliver(*frame) || is_record;
  intake_.flush();
  return is_record;
}

void MessageStream::end() {
  assert(thread_.is_current());
  intake_.begin(transport_, 0, written_);
  if (const auto frame = framer_.finish()) deliver(*frame);
  intake_.flush();
}

void MessageStream::abandon() {
  assert(thread_.is_current());
  if (!framer_.abandon()) return;
  intake_.begin(transport_, 0, written_);
  intake_.reject(Malformed::memory);
  last_malformed_ = true;
}

// Returns whether it is a record.
bool MessageStream::deliver(const Framer::Frame& frame) {
  switch (frame.kind) {
    case Framer::Kind::message:
      last_malformed_ = !intake_.message(frame.bytes);
      return !last_malformed_;
    case Framer::Kind::too_long:
      intake_.reject(Malformed::too_long);
      break;
    case Framer::Kind::bad_count:
      intake_.reject(Malformed::framing);
      break;
    case Framer::Kind::proxy_header:
      intake_.reject(Malformed::proxy, sender_ ? "from " + format_address(*sender_) : "");
      break;
    case Framer::Kind::stray:
      // The lie has been counted if it made its message malformed.
      if (!last_malformed_) intake_.reject(Malformed::framing);
  }
  last_malformed_ = true;
  return false;
}

}  // namespace qatime::ingest
