// SPDX-License-Identifier: MIT
// The reading by qatime of messages or streams on standard input, in rows for compare.py:
//
//   read_records records NOW ZONE [SETTING...]   a row for each message
//   read_records streams MAX_MESSAGE             a row for each frame, and "end" for each stream
//
// NOW is a time of RFC 3339, ZONE that of times without one, SETTING as for --set. A message, or what one read of a
// stream gives, is its length (four bytes, little-endian) and its bytes; length 0 ends a stream. A row has cells, with
// tabs between, in which a tab is \t, a line feed \n and a backslash two.
#include <algorithm>
#include <array>
#include <cstdio>
#include <exception>
#include <initializer_list>
#include <memory_resource>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "config/config.h"
#include "ingest/cluster.h"
#include "ingest/parse/body.h"
#include "ingest/parse/framing.h"
#include "ingest/parse/header.h"
#include "ingest/policy.h"

namespace {

using namespace qatime;
using namespace qatime::ingest;

std::optional<std::string> read_text() {
  std::array<unsigned char, 4> size{};
  if (std::fread(size.data(), 1, size.size(), stdin) != size.size()) return std::nullopt;
  std::string text(size[0] | size[1] << 8 | size[2] << 16 | std::size_t{size[3]} << 24, '\0');
  if (std::fread(text.data(), 1, text.size(), stdin) != text.size()) throw std::runtime_error{"a text is cut off"};
  return text;
}

std::string escape(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '\t') {
      escaped += "\\t";
    } else if (c == '\n') {
      escaped += "\\n";
    } else {
      escaped.append(c == '\\' ? 2 : 1, c);
    }
  }
  return escaped;
}

void print(std::span<const std::string> cells) {
  std::string row;
  for (const std::string& cell : cells) row.append(row.empty() ? "" : "\t").append(escape(cell));
  row += '\n';
  std::fwrite(row.data(), 1, row.size(), stdout);
}

using Row = std::vector<std::string>;

void add(Row& row, std::initializer_list<std::string_view> cells) { row.insert(row.end(), cells.begin(), cells.end()); }

void add_event(Row& row, const Access& one) { add(row, {"access", format_rfc3339(one.time), one.path}); }
void add_event(Row& row, const Move& one) { add(row, {"move", format_rfc3339(one.time), one.path, one.target}); }
void add_event(Row& row, const Removal& one) {
  add(row, {one.subtree ? "subtree" : "removal", format_rfc3339(one.time), one.path});
}

void add_decision(Row& row, const Event& event) {
  std::visit([&](const auto& one) { add_event(row, one); }, event);
}
void add_decision(Row& row, Ignored reason) { add(row, {"ignored", name(reason)}); }
void add_decision(Row& row, Malformed reason) { add(row, {"malformed", name(reason)}); }

Row describe_message(std::string_view message, const Policy& policy, const LocalClock& local) {
  const Parsed<Header> parsed_header = parse_header(message, local);
  if (const auto* const reason = std::get_if<Malformed>(&parsed_header))
    return {"malformed", std::string{name(*reason)}};
  const auto& header = std::get<Header>(parsed_header);
  std::pmr::monotonic_buffer_resource scratch;
  const Parsed<Record> parsed = parse_body(header.body, scratch);
  if (const auto* const reason = std::get_if<Malformed>(&parsed)) return {"malformed", std::string{name(*reason)}};
  const auto& record = std::get<Record>(parsed);
  Row row;
  add(row, {"record", format_rfc3339(header.time), header.host, cluster_of(header.host), record.client, record.user,
            record.written_user, record.protocol, record.operation, record.status, record.file_id, record.path,
            record.target});
  std::visit([&](const auto& decision) { add_decision(row, decision); }, policy.decide(header, record, local.now));
  return row;
}

int read_messages(std::string_view time, std::string_view zone_name, const std::vector<std::string>& settings) {
  const Config config = load_config("/dev/null", settings);
  const Exports exports = config.nfs.export_paths();
  const SelfAddresses self{config.policy.self};
  const Policy policy{config.policy, exports, self};
  const LocalClock local{TimeZone::load(zone_name).value(), parse_rfc3339(time).value(), policy.future_limit()};
  while (const auto message = read_text()) print(describe_message(*message, policy, local));
  return 0;
}

void print_frame(const Framer::Frame& frame) {
  constexpr std::array<std::string_view, 5> kKinds{"message", "too_long", "bad_count", "stray", "proxy_header"};
  print(Row{std::string{kKinds.at(static_cast<std::size_t>(frame.kind))}, std::string{frame.bytes}});
}

void receive(Framer& framer, std::string_view bytes) {
  while (!bytes.empty()) {
    const std::span<char> space = framer.writable();
    const std::size_t size = std::min(space.size(), bytes.size());
    std::copy_n(bytes.begin(), size, space.begin());
    framer.commit(size);
    bytes.remove_prefix(size);
    while (const auto frame = framer.next()) print_frame(*frame);
  }
}

int read_streams(std::size_t max_message) {
  std::optional<Framer> framer;
  while (const auto piece = read_text()) {
    if (!framer) framer.emplace(max_message);
    receive(*framer, *piece);
    if (!piece->empty()) continue;
    if (const auto frame = framer->finish()) print_frame(*frame);
    print(Row{"end"});
    framer.reset();
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) try {
  const std::vector<std::string> words{argv + 1, argv + argc};
  if (words.size() >= 3 && words[0] == "records") {
    return read_messages(words[1], words[2], {words.begin() + 3, words.end()});
  }
  if (words.size() == 2 && words[0] == "streams") return read_streams(std::stoul(words[1]));
  std::fputs("usage: read_records records NOW ZONE [SETTING...] | streams MAX_MESSAGE\n", stderr);
  return 2;
} catch (const std::exception& error) {
  std::fprintf(stderr, "read_records: %s\n", error.what());
  return 1;
}
