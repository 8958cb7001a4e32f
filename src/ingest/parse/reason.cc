// SPDX-License-Identifier: MIT
#include "ingest/parse/reason.h"

#include <array>
#include <cstddef>

namespace qatime::ingest {
namespace {

struct Words {
  std::string_view name;
  std::string_view description;
};

// In the order of the enumerators.
constexpr std::array<Words, kMalformedReasons> kMalformed{{
    {"header", "it begins with none of the known syslog headers"},
    {"tag",
     "another program than qumulo sent it, or a relay put an unknown header in front (syslog-ng: "
     "flags(syslog-protocol))"},
    {"time", "its time is not a time"},
    {"body", "its body is empty, a repetition that was cut, or JSON that cannot be read"},
    {"fields", "fields are missing: CSV has eight, the second and the last two quoted; JSON has operation and status"},
    {"quote", "a quote does not end, or has more behind it"},
    {"path", "its path is not absolute, or has an empty, '.', '..' or overlong component"},
    {"too_long", "it is longer than syslog.max_message"},
    {"framing", "the octet count before it is wrong"},
    {"memory", "unfinished messages took too much memory"},
    {"proxy", "it is a PROXY header, which syslog.proxy_from does not expect"},
}};
constexpr std::array<Words, kIgnoredReasons> kIgnored{{
    {"allow", "it was sent from an address outside syslog.allow"},
    {"operation", "policy.operations does not have its operation"},
    {"status", "its status is not ok"},
    {"cluster", "policy.clusters does not have its cluster"},
    {"snapshot", "it is in a .snapshot"},
    {"path", "its path is below none of policy.include_paths"},
    {"path", "its path is below one of policy.exclude_paths"},
    {"user", "policy.include_users does not have its user"},
    {"user", "policy.exclude_users has its user"},
    {"client", "its client is in none of policy.include_clients"},
    {"client", "its client is in one of policy.exclude_clients"},
    {"protocol", "policy.include_protocols does not have its protocol"},
    {"protocol", "policy.exclude_protocols has its protocol"},
    {"self", "it is a listing by qatime itself"},
    {"range", "NFSv3 holds times from 1970 to 2106 only"},
    {"period", "its time is outside --since and --until"},
    {"future", "its time is ahead of the clock by more than policy.future_limit"},
    {"protected", "it would move, replace or remove an export, or what holds one"},
    {"export", "its path is below none of nfs.exports"},
}};

const Words& words(Malformed reason) noexcept { return kMalformed[static_cast<std::size_t>(reason)]; }
const Words& words(Ignored reason) noexcept { return kIgnored[static_cast<std::size_t>(reason)]; }

}  // namespace

std::string_view name(Malformed reason) noexcept { return words(reason).name; }
std::string_view name(Ignored reason) noexcept { return words(reason).name; }
std::string_view describe(Malformed reason) noexcept { return words(reason).description; }
std::string_view describe(Ignored reason) noexcept { return words(reason).description; }

}  // namespace qatime::ingest
