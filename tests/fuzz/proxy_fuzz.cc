// SPDX-License-Identifier: MIT
// The PROXY header: how long it is does not depend on what is behind it or on how much has come, and whom it names is
// what its own form says when it is written anew.
#include <string>

#include "base/address.h"
#include "ingest/parse/proxy_header.h"
#include "target.h"

namespace {

using namespace qatime::fuzz;
using qatime::Address;
using qatime::format_address;
using qatime::ingest::kMaxProxyHeader;
using qatime::ingest::measure_proxy_header;
using qatime::ingest::ProxyExtent;
using qatime::ingest::ProxySource;
using qatime::ingest::read_proxy_header;
using Kind = ProxyExtent::Kind;

// A part of it tells no more than the whole, and never anything else.
void expect_steady(std::string_view text) {
  const ProxyExtent whole = measure_proxy_header(text);
  Kind before = Kind::undecided;
  for (std::size_t size = 0; size <= text.size(); ++size) {
    const ProxyExtent part = measure_proxy_header(text.substr(0, size));
    require(part.kind != Kind::undecided || before == Kind::undecided, "what is a header so far is no riddle again");
    require(before != Kind::none || part.kind == Kind::none, "no header is none for good");
    require(before != Kind::whole || (part.kind == Kind::whole && part.size == whole.size), "a whole one stays so");
    require(part.kind != Kind::whole || part.size <= size, "a whole header has come");
    before = part.kind;
  }
  require(whole.size <= kMaxProxyHeader, "a header keeps to its bound");
}

// The addresses as a header of version 1 has them, taken from one of version 2.
bool is_inside(const Address& address, std::string_view header) {
  const std::string_view v6{reinterpret_cast<const char*>(address.data()), address.size()};
  const bool is_v4 = format_address(address).find(':') == std::string::npos;
  return header.substr(16, 16) == v6 || (is_v4 && header.substr(16, 4) == v6.substr(12));
}

void expect_source(std::string_view header) {
  const ProxySource source = read_proxy_header(header);
  if (source.kind == ProxySource::Kind::invalid) return;
  const bool is_line = header.front() == 'P';
  require(!is_line || header.ends_with("\r\n"), "a line ends with CR LF");
  require(is_line || header[13] % 16 != 2 || header[12] % 16 == 0, "no address of a datagram is believed");
  if (source.kind == ProxySource::Kind::balancer) {
    require(source.address == Address{}, "a balancer's own connection has no other address");
    return;
  }
  if (!is_line) return require(is_inside(source.address, header), "the address is the first one");
  const std::string family = header[9] == '4' ? "TCP4 " : "TCP6 ";
  const std::string again = "PROXY " + family + std::string{header.substr(11)};
  require(again == header, "a line has nothing in front of its first address");
  const std::string_view written = header.substr(11, header.find(' ', 11) - 11);
  require(qatime::parse_address(written) == source.address, "the address is the first one");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Input input{data, size};
  expect_steady(input.text());
  const ProxyExtent extent = measure_proxy_header(input.text());
  if (extent.kind == Kind::whole) expect_source(input.text().substr(0, extent.size));
  return 0;
}
