// SPDX-License-Identifier: MIT
// PROXY headers of version 2, byte by byte as HAProxy's doc/proxy-protocol.txt, section 2.2, has them.
#pragma once

#include <string>
#include <string_view>

namespace qatime::ingest {

using std::string_literals::operator""s;

inline const std::string kBinaryMark = "\x0D\x0A\x0D\x0A\x00\x0D\x0A\x51\x55\x49\x54\x0A"s;

// From 192.0.2.1 to 192.0.2.2, ports 50000 and 1514.
inline const std::string kInetAddresses = "\xC0\0\2\1\xC0\0\2\2\xC3\x50\x05\xEA"s;
// From 2001:db8::1 to 2001:db8::2.
inline const std::string kInet6Addresses =
    "\x20\x01\x0D\xB8\0\0\0\0\0\0\0\0\0\0\0\1\x20\x01\x0D\xB8\0\0\0\0\0\0\0\0\0\0\0\2\xC3\x50\x05\xEA"s;
// From ::ffff:192.0.2.1 to ::ffff:192.0.2.2.
inline const std::string kMappedAddresses =
    "\0\0\0\0\0\0\0\0\0\0\xFF\xFF\xC0\0\2\1\0\0\0\0\0\0\0\0\0\0\xFF\xFF\xC0\0\2\2\xC3\x50\x05\xEA"s;

// `command` and `kind` are the bytes 13 and 14; `rest` is what is behind the length.
inline std::string binary_header(int command, int kind, std::string_view rest) {
  std::string header = kBinaryMark;
  header += static_cast<char>(command);
  header += static_cast<char>(kind);
  header += static_cast<char>(rest.size() >> 8);
  header += static_cast<char>(rest.size());
  return header.append(rest);
}

}  // namespace qatime::ingest
