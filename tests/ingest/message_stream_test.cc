// SPDX-License-Identifier: MIT
#include "ingest/message_stream.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/core.h>

#include "catch.h"

namespace qatime::ingest::message_stream_test {
namespace {

std::string record(std::string_view path) {
  return fmt::format(R"(<14>1 2026-01-27T14:12:23Z q-1 qumulo - - - ::1,"u",nfs3,fs_read_data,ok,7,"{}","")", path);
}

std::string counted(const std::string& message) { return std::to_string(message.size()) + " " + message; }

struct Fixture {
  // Returns what take() returns for these bytes.
  bool take(std::string_view bytes) {
    sent += static_cast<std::int64_t>(bytes.size());
    std::ranges::copy(bytes, stream.writable().begin());
    return stream.take(bytes.size());
  }

  std::int64_t count(std::string_view name, std::string_view label = {}) {
    std::int64_t found = 0;
    metrics.visit([&](const metrics::Registry::Sample& sample) {
      if (sample.name == name && (label.empty() || sample.label.value == label)) found += sample.value;
    });
    return found;
  }

  [[nodiscard]] std::int64_t malformed(std::string_view reason = {}) { return count("qatime_malformed_total", reason); }

  Exports exports;
  SelfAddresses self;
  Policy policy{PolicyConfig{}, exports, self};
  metrics::Registry metrics;
  std::vector<std::string> paths;
  Intake intake{policy, {}, metrics, [this](Events events) {
                  for (const Event& event : events) paths.emplace_back(std::get<Access>(event).path);
                }};
  std::int64_t sent = 0;  // bytes
  MessageStream stream{1000, Transport::tcp, intake};
};

TEST_CASE_METHOD(Fixture, "A read tells whether one of its messages is a record, and each is handed over at once") {
  CHECK(take(record("/a") + "\n"));
  CHECK(paths == std::vector<std::string>{"/a"});
  CHECK(take(record("/b") + "\nhello\n"));
  CHECK(take("hello\n" + record("/c") + "\n"));
  CHECK_FALSE(take("hello\nhello\n"));
  CHECK_FALSE(take(record("/d")));
  CHECK(paths == std::vector<std::string>{"/a", "/b", "/c"});
  CHECK(count("qatime_received_bytes_total") == sent);
}

TEST_CASE_METHOD(Fixture, "The rest at the end is a message") {
  CHECK_FALSE(take(record("/a")));
  stream.end();
  CHECK(paths == std::vector<std::string>{"/a"});
  stream.end();
  CHECK(count("qatime_received_messages_total") == 1);
}

TEST_CASE_METHOD(Fixture, "What is dropped is counted by its reason") {
  CHECK_FALSE(take("<14>" + std::string(1000, 'x') + "\n"));
  CHECK(malformed("too_long") == 1);
  CHECK_FALSE(take("50 <14>a\n"));
  CHECK(malformed("framing") == 1);
  stream.abandon();
  CHECK(malformed("memory") == 0);
  CHECK_FALSE(take("<14>a"));
  stream.abandon();
  stream.abandon();
  CHECK(malformed("memory") == 1);
  CHECK(malformed() == 3);
}

TEST_CASE_METHOD(Fixture, "A count that is too small costs one malformed message") {
  take(counted(record("/a")) + "oops\n");
  CHECK(malformed("framing") == 1);
  const std::string cut = record("/b").substr(0, 60);
  take(counted(cut) + record("/b").substr(60) + "\n");
  CHECK(malformed("framing") == 1);
  CHECK(malformed() == 2);
  take(counted(record("/c")) + "oops\n");
  CHECK(malformed("framing") == 2);
  CHECK(malformed() == 3);
  CHECK(count("qatime_accepted_total") == 2);
}

TEST_CASE_METHOD(Fixture, "Bytes behind what was dropped are not counted again") {
  take(record("/a") + "\n");
  const bool is_abandoned = GENERATE(false, true);
  if (is_abandoned) {
    take("9 <14>ab");
    stream.abandon();
    take("cdeoops\n");
  } else {
    take(counted("<14>" + std::string(2000, 'x')) + "oops\n");
  }
  CHECK(malformed() == 1);
}

TEST_CASE_METHOD(Fixture, "An end counts for the transport of its stream, and adds no bytes") {
  const bool is_abandoned = GENERATE(false, true);
  MessageStream other{1000, Transport::udp, intake};
  take("<14>a");
  std::ranges::copy(std::string_view{"hello\n"}, other.writable().begin());
  CHECK_FALSE(other.take(6));
  is_abandoned ? stream.abandon() : stream.end();
  CHECK(count("qatime_received_messages_total", "tcp") == 1);
  CHECK(count("qatime_received_messages_total", "udp") == 1);
  CHECK(count("qatime_received_bytes_total", "tcp") == sent);
}

}  // namespace
}  // namespace qatime::ingest::message_stream_test
