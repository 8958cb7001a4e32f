// SPDX-License-Identifier: MIT
// A look at what has come shows how much of it is the header, and so much is read. All of an unfinished header is read,
// or the socket would be readable all the time.
#include "listen/proxy_header_reader.h"

#include <array>
#include <cstddef>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>

namespace qatime::ingest {

ProxyHeaderReader::HeaderState ProxyHeaderReader::read(loop::TcpSocket& socket) {
  std::array<char, kMaxProxyHeader> space;  // NOLINT(*-member-init): it would be written twice
  boost::system::error_code error;
  const std::size_t size = socket.receive(boost::asio::buffer(space), loop::TcpSocket::message_peek, error);
  if (error == boost::asio::error::would_block) return HeaderState::unfinished;
  if (error) return bytes_.empty() ? HeaderState::departed : fail("it closed the connection amid the header");

  const std::size_t held = bytes_.size();
  bytes_.append(space.data(), size);
  const ProxyExtent extent = measure_proxy_header(bytes_);
  if (extent.kind == ProxyExtent::Kind::none) return fail("it begins with something else");
  const bool is_whole = extent.kind == ProxyExtent::Kind::whole;
  if (is_whole) bytes_.resize(extent.size);
  socket.read_some(boost::asio::buffer(space.data(), bytes_.size() - held), error);
  return is_whole ? conclude() : HeaderState::unfinished;
}

ProxyHeaderReader::HeaderState ProxyHeaderReader::conclude() {
  source_ = read_proxy_header(bytes_);
  return source_.kind == ProxySource::Kind::invalid ? fail("the header is wrong: " + bytes_) : HeaderState::done;
}

ProxyHeaderReader::HeaderState ProxyHeaderReader::fail(std::string failure) {
  failure_ = std::move(failure);
  return HeaderState::failed;
}

}  // namespace qatime::ingest
