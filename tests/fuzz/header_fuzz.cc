// SPDX-License-Identifier: MIT
// Headers: what is read lies in the message and means the same however it is written.
#include <chrono>
#include <iterator>
#include <string>

#include "ingest/parse/header.h"
#include "target.h"

namespace {

using namespace qatime;
using namespace qatime::fuzz;
using namespace std::chrono_literals;
using ingest::Header;
using ingest::HeaderForm;
using ingest::Malformed;
using ingest::Parsed;

const Time kNow = *parse_rfc3339("2026-01-28T00:00:00Z");

const TimeZone& zone(unsigned choice) {
  static const TimeZone kZones[] = {TimeZone{}, TimeZone::load("Europe/Berlin").value(),
                                    TimeZone::load("Pacific/Apia").value(), TimeZone::load("America/St_Johns").value()};
  return kZones[choice % std::size(kZones)];
}

bool is_same(const Parsed<Header>& a, const Parsed<Header>& b) {
  if (a.index() != b.index()) return false;
  if (const auto* const reason = std::get_if<Malformed>(&a)) return *reason == std::get<Malformed>(b);
  const auto& one = std::get<Header>(a);
  const auto& other = std::get<Header>(b);
  return one.form == other.form && one.time == other.time && one.host == other.host && one.body == other.body &&
         one.is_local == other.is_local;
}

void check(std::string_view message, const Header& header) {
  require(is_inside(header.host, message) && is_inside(header.body, message), "host and body lie in the message");
  require(!header.host.empty() || header.form == HeaderForm::comma_joined, "only a joined line may have no host");
  require(header.host.find(' ') == std::string_view::npos, "a host is one word");
  require(!header.body.starts_with(' ') || header.body.data()[-1] == '\xBF',
          "the body begins with no space unless a byte order mark is before it");
  require(header.body.empty() || header.body.data() + header.body.size() == message.data() + message.size(),
          "the body is the rest of the message");
  require(parse_rfc3339(format_rfc3339(header.time)) == header.time, "a time that is written out is the same time");
  require(header.form != HeaderForm::rfc3164 || header.time <= kNow + 24h,
          "a time without year is not far in the future");
  require(header.form != HeaderForm::rfc3164 || header.is_local, "a traditional time names no zone");
  require(header.form != HeaderForm::forward || message.find('<') != std::string_view::npos,
          "this form has a priority, perhaps behind the header of a relay");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Input input{data, size};
  const std::string_view message = input.text();
  const ingest::LocalClock local{zone(input.choice()), kNow, 5min};
  const Parsed<Header> header = ingest::parse_header(message, local);
  if (const auto* const read = std::get_if<Header>(&header)) check(message, *read);

  const std::string copy{message};
  require(is_same(header, ingest::parse_header(copy, local)), "the same bytes are the same header");
  if (message.starts_with('<')) return 0;
  const std::string low = "<0>" + copy;
  const std::string high = "<191>" + copy;
  require(is_same(ingest::parse_header(low, local), ingest::parse_header(high, local)), "any priority will do");
  return 0;
}
