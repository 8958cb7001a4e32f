// SPDX-License-Identifier: MIT
// What one record costs from its bytes to its event: framing, header, CSV and policy. Prints the best of some rounds in
// nanoseconds of CPU time per record; in memory, without sockets and backlog.
#include <algorithm>
#include <cstdint>
#include <ctime>
#include <random>
#include <string>
#include <vector>

#include <fmt/core.h>

#include "ingest/intake.h"
#include "ingest/parse/framing.h"

namespace {

using namespace qatime;

constexpr int kRecords = 200'000;
constexpr int kRounds = 15;

// Paths of 60 to 150 bytes, three of five records qualify.
std::string make_stream() {
  std::minstd_rand random{1};
  std::string stream;
  for (int i = 0; i < kRecords; ++i) {
    const std::string name(30 + random() % 90, 'x');
    const char* const operation = random() % 5 < 3 ? "fs_read_data" : "fs_read_metadata";
    stream += fmt::format(
        R"(<14>1 2026-01-27T14:12:23.{:06}Z cluster-{} qumulo - - - 10.220.151.129,"AD\user{}",smb2,{},ok,)"
        R"({},"/projects/group-{}/data/{}.dat",""{})",
        random() % 1'000'000, random() % 8, random() % 100, operation, random(), random() % 100, name, '\n');
  }
  return stream;
}

// The same as JSON, one user of two with a backslash.
std::string make_json_stream() {
  std::minstd_rand random{1};
  std::string stream;
  for (int i = 0; i < kRecords; ++i) {
    const std::string name(30 + random() % 90, 'x');
    const char* const operation = random() % 5 < 3 ? "fs_read_data" : "fs_read_metadata";
    stream += fmt::format(
        R"(<14>1 2026-01-27T14:12:23.{:06}Z cluster-{} qumulo - - - {{"user_id": {{"sid": "S-1-5-21-{}", "auth_id": )"
        R"("{}", "name": "{}user"}}, "user_ip": "10.220.151.129", "protocol": "smb2", "operation": "{}", "status": "ok", )"
        R"("details": {{"path": "/projects/group-{}/data/{}.dat", "file_id": "{}", "offset": 0, "size": 4096}}}}{})",
        random() % 1'000'000, random() % 8, random(), random(), random() % 2 == 0 ? "AD\\" : "", operation,
        random() % 100, name, random(), '\n');
  }
  return stream;
}

std::int64_t cpu_ns() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return now.tv_sec * std::int64_t{1'000'000'000} + now.tv_nsec;
}

// Nanoseconds of a round in which every message goes to `take`.
template <class Take>
std::int64_t round(const std::string& stream, ingest::Intake& intake, Take take) {
  ingest::Framer framer{256 << 10};
  const std::int64_t begin = cpu_ns();
  for (std::size_t at = 0; at < stream.size();) {
    const std::span<char> space = framer.writable();
    const std::size_t size = std::min(space.size(), stream.size() - at);
    std::copy_n(stream.data() + at, size, space.data());
    framer.commit(size);
    at += size;
    intake.begin(ingest::Transport::tcp, size);
    while (const auto frame = framer.next()) take(frame->bytes);
    intake.flush();
  }
  return cpu_ns() - begin;
}

template <class Take>
void measure(const char* what, const std::string& stream, ingest::Intake& intake, Take take) {
  std::int64_t best = round(stream, intake, take);
  for (int i = 1; i < kRounds; ++i) best = std::min(best, round(stream, intake, take));
  fmt::print("{:<40} {:6.1f} ns/record\n", what, static_cast<double>(best) / kRecords);
}

}  // namespace

int main() {
  const Exports exports;
  const ingest::SelfAddresses self;
  const ingest::Policy policy{PolicyConfig{}, exports, self};
  metrics::Registry metrics;
  std::uint64_t events = 0;
  ingest::Intake intake{policy, {}, metrics, [&](Events batch) { events += batch.size(); }};
  const std::string stream = make_stream();

  std::uint64_t bytes = 0;
  measure("copy and framing", stream, intake, [&](std::string_view message) { bytes += message.size(); });
  measure("copy, framing, parsing and filtering", stream, intake,
          [&](std::string_view message) { intake.message(message); });
  measure("the same, of JSON", make_json_stream(), intake, [&](std::string_view message) { intake.message(message); });
  fmt::print("{} bytes/record, {} events of {} records\n", bytes / kRecords / kRounds, events, kRecords * kRounds);
}
