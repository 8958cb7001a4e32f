// SPDX-License-Identifier: MIT
#include "ingest/parse/proxy_header.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <system_error>

namespace qatime::ingest {
namespace {

constexpr std::string_view kLineMark{"PROXY "};
constexpr std::size_t kMaxLine = 107;  // bytes, with its CR LF
constexpr std::string_view kBinaryMark{"\r\n\r\n\0\r\nQUIT\n", 12};
constexpr std::size_t kFixed = 16;  // bytes of version 2 in front of the addresses
constexpr unsigned kVersion = 2;

unsigned byte_at(std::string_view bytes, std::size_t at) noexcept { return static_cast<unsigned char>(bytes[at]); }

ProxyExtent measure_line(std::string_view stream) noexcept {
  const std::size_t end = stream.substr(0, kMaxLine).find('\n');
  if (end != std::string_view::npos) return {ProxyExtent::Kind::whole, end + 1};
  return {stream.size() < kMaxLine ? ProxyExtent::Kind::unfinished : ProxyExtent::Kind::none};
}

ProxyExtent measure_binary(std::string_view stream) noexcept {
  if (stream.size() > kBinaryMark.size() && byte_at(stream, 12) >> 4 != kVersion) return {};
  if (stream.size() < kFixed) return {ProxyExtent::Kind::unfinished};
  const std::size_t size = kFixed + (byte_at(stream, 14) << 8 | byte_at(stream, 15));
  if (size > kMaxProxyHeader) return {};
  if (stream.size() < size) return {ProxyExtent::Kind::unfinished};
  return {ProxyExtent::Kind::whole, size};
}

// Takes what is in front of the next blank off `text`, and the blank.
std::string_view take_word(std::string_view& text) noexcept {
  const std::size_t size = std::min(text.find(' '), text.size());
  const std::string_view word = text.substr(0, size);
  text.remove_prefix(std::min(size + 1, text.size()));
  return word;
}

bool is_port(std::string_view text) noexcept {
  unsigned port = 0;
  const char* const first = text.data();
  const char* const last = first + text.size();
  const auto [end, error] = std::from_chars(first, last, port);
  const bool is_number = error == std::errc{} && end == last;
  return is_number && port <= 65'535 && (text.front() != '0' || text.size() == 1);
}

// An address of the family that the line names, without a zone.
std::optional<Address> read_address(std::string_view text, bool is_v6) noexcept {
  if ((text.find(':') != std::string_view::npos) != is_v6 || text.find('%') != std::string_view::npos) return {};
  return parse_address(text);
}

// "PROXY TCP4 192.0.2.1 192.0.2.2 50000 1514\r\n", "PROXY TCP6 ...", "PROXY UNKNOWN ..."
ProxySource read_line(std::string_view line) noexcept {
  constexpr std::string_view kEnd{"\r\n"};
  if (!line.ends_with(kEnd)) return {};
  line.remove_prefix(kLineMark.size());
  line.remove_suffix(kEnd.size());
  const std::string_view family = take_word(line);
  if (family == "UNKNOWN") return {ProxySource::Kind::balancer};
  if (family != "TCP4" && family != "TCP6") return {};
  const auto source = read_address(take_word(line), family == "TCP6");
  const auto destination = read_address(take_word(line), family == "TCP6");
  const std::string_view port = take_word(line);
  if (!source || !destination || !is_port(port) || !is_port(line)) return {};
  return {ProxySource::Kind::client, *source};
}

ProxySource read_binary(std::string_view header) noexcept {
  enum : unsigned { kLocal, kProxy };                   // commands
  enum : unsigned { kNoFamily, kInet, kInet6, kUnix };  // families of addresses
  enum : unsigned { kNoProtocol, kStream };             // protocols
  constexpr std::array kSizes{12U, 36U, 216U};          // bytes of the addresses and ports, by family from kInet on

  const unsigned command = byte_at(header, 12) & 0xF;
  if (command == kLocal) return {ProxySource::Kind::balancer};
  const unsigned family = byte_at(header, 13) >> 4;
  const unsigned protocol = byte_at(header, 13) & 0xF;
  if (command != kProxy || family > kUnix || protocol > kStream) return {};
  const std::string_view addresses = header.substr(kFixed);
  if (family == kNoFamily || protocol == kNoProtocol) return {ProxySource::Kind::balancer};
  if (addresses.size() < kSizes.at(family - kInet)) return {};
  if (family == kUnix) return {ProxySource::Kind::balancer};
  if (family == kInet) return {ProxySource::Kind::client, ipv4_address(addresses.data())};
  ProxySource source{ProxySource::Kind::client};
  std::copy_n(addresses.begin(), source.address.size(), source.address.begin());
  return source;
}

}  // namespace

ProxyExtent measure_proxy_header(std::string_view stream) noexcept {
  if (stream.starts_with(kLineMark)) return measure_line(stream);
  if (stream.starts_with(kBinaryMark)) return measure_binary(stream);
  return {kLineMark.starts_with(stream) || kBinaryMark.starts_with(stream) ? ProxyExtent::Kind::undecided
                                                                           : ProxyExtent::Kind::none};
}

ProxySource read_proxy_header(std::string_view header) noexcept {
  return header.starts_with(kLineMark) ? read_line(header) : read_binary(header);
}

}  // namespace qatime::ingest
