// SPDX-License-Identifier: MIT
#include "listen/udp_listener.h"

#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/ip/udp.hpp>

#include "listen/listen_error.h"
#include "listen/listener_fixture.h"

namespace qatime::ingest::udp_listener_test {
namespace {

using namespace std::string_literals;
using boost::asio::ip::udp;
using Paths = std::vector<std::string>;

class Fixture : public ListenerFixture {
 public:
  UdpListener& listen(const SyslogConfig& with = {}) {
    UdpListener& listener =
        listeners_.emplace_back(context, SyslogConfig::Listener{Transport::udp, "127.0.0.1", 0}, with, intake, metrics);
    client_.connect({boost::asio::ip::address_v4::loopback(), listener.port()});
    return listener;
  }

  void send(std::string_view datagram) { client_.send(boost::asio::buffer(datagram.data(), datagram.size())); }
  void send_to(const udp::endpoint& listener, std::string_view datagram) {
    client_.connect(listener);
    send(datagram);
  }

 private:
  boost::asio::io_context clients_{1};
  udp::socket client_{clients_, udp::v4()};
  std::deque<UdpListener> listeners_;
};

TEST_CASE_METHOD(Fixture, "A datagram is a message") {
  listen();
  send(record_of("/a"));
  send(record_of("/b") + "\n");
  send(record_of("/c") + "\0"s);
  send(record_of("/d") + "\r\n");
  run_until([&] { return paths.size() == 4; });
  CHECK(paths == Paths{"/a", "/b", "/c", "/d"});
  CHECK(count("qatime_received_messages_total", "udp") == 4);
  CHECK(count("qatime_received_bytes_total", "udp") == static_cast<std::int64_t>(4 * record_of("/a").size() + 4));
}

TEST_CASE_METHOD(Fixture, "Two records in one datagram are no record") {
  listen();
  send(record_of("/a") + "\n" + record_of("/b"));
  send(record_of("/c"));
  run_until([&] { return paths.size() == 1; });
  CHECK(paths == Paths{"/c"});
  CHECK(count("qatime_malformed_total", "quote") == 1);
}

TEST_CASE_METHOD(Fixture, "An empty datagram is no message") {
  listen();
  send("");
  send("\n");
  send(record_of("/a"));
  run_until([&] { return paths.size() == 1; });
  CHECK(count("qatime_received_messages_total", "udp") == 1);
}

TEST_CASE_METHOD(Fixture, "A datagram of a sender who is not allowed is ignored, whatever it holds") {
  SyslogConfig config;
  config.allow = {*parse_network("192.0.2.0/24"), *parse_network("127.0.0.2")};
  listen(config);
  send(record_of("/a"));
  send("hello");
  send("\n");
  run_until([&] { return count("qatime_ignored_total", "allow") == 2; });
  CHECK(paths.empty());
  CHECK(count("qatime_malformed_total", "header") == 0);
  CHECK(count("qatime_received_messages_total", "udp") == 2);
}

TEST_CASE_METHOD(Fixture, "Datagrams of allowed senders are taken in") {
  SyslogConfig config;
  config.allow = {*parse_network("127.0.0.0/8")};
  listen(config);
  for (int i = 0; i < 100; ++i) send(record_of("/a"));
  run_until([&] { return paths.size() == 100; });
  CHECK(count("qatime_ignored_total", "allow") == 0);
}

TEST_CASE_METHOD(Fixture, "A datagram over the limit is too long") {
  SyslogConfig config;
  config.max_message = 1024;
  listen(config);
  std::string fits;
  while (record_of(fits).size() + 100 < 1024) fits += "/" + std::string(99, 'a');
  fits += "/" + std::string(1024 - record_of(fits).size() - 1, 'b');
  REQUIRE(record_of(fits).size() == 1024);
  send(record_of(fits));
  send(record_of(fits) + "\n");
  send(record_of(fits + "e"));
  send(record_of(fits) + "\n and what is cut off");
  send(std::string(5000, 'x'));
  send(record_of("/b"));
  run_until([&] { return paths.size() == 3; });
  CHECK(paths == Paths{fits, fits, "/b"});
  CHECK(count("qatime_malformed_total", "too_long") == 3);
  CHECK(count("qatime_received_messages_total", "udp") == 6);
}

TEST_CASE_METHOD(Fixture, "Many datagrams come in few batches") {
  listen();
  for (int i = 0; i < 100; ++i) send(record_of("/a"));
  run_until([&] { return paths.size() == 100; });
  CHECK(batches.size() == 2);
}

TEST_CASE_METHOD(Fixture, "The receive buffer in force is reported") {
  SyslogConfig config;
  config.udp_receive_buffer = 64 << 10;
  listen(config);
  CHECK(count("qatime_udp_buffer_bytes") == 64 << 10);
  config.udp_receive_buffer = 1 << 30;
  listen(config);
  CHECK(count("qatime_udp_buffer_bytes") > 128 << 10);
}

TEST_CASE_METHOD(Fixture, "What the kernel drops is counted") {
  SyslogConfig config;
  config.udp_receive_buffer = 8 << 10;
  UdpListener& listener = listen(config);
  constexpr int kSent = 500;
  for (int i = 0; i < kSent; ++i) send(record_of("/a"));
  SECTION("while it runs, and once") {
    run_until([&] { return count("qatime_udp_kernel_drops_total") > 0; });
  }
  SECTION("before it closes") {}
  listener.drain_and_close();
  CHECK(count("qatime_udp_kernel_drops_total") > 0);
  CHECK(count("qatime_udp_kernel_drops_total") + static_cast<std::int64_t>(paths.size()) == kSent);
}

TEST_CASE_METHOD(Fixture, "What has arrived over UDP is taken in before the close") {
  UdpListener& listener = listen();
  for (int i = 0; i < 150; ++i) send(record_of("/a"));
  listener.drain_and_close();
  CHECK(paths.size() == 150);
  listener.drain_and_close();
  settle();
}

TEST_CASE_METHOD(Fixture, "A UDP port that is taken is one clear error") {
  const UdpListener& listener = listen();
  const SyslogConfig::Listener taken{Transport::udp, "127.0.0.1", listener.port()};
  CHECK_THROWS_WITH(
      UdpListener(context, taken, {}, intake, metrics),
      fmt::format("cannot listen on udp://127.0.0.1:{} (syslog.listen): Address already in use", listener.port()));
}

TEST_CASE_METHOD(Fixture, "Other limits hold from the next datagram on") {
  SyslogConfig config;
  UdpListener& listener = listen(config);
  const std::string long_path = "/" + std::string(200, 'x') + "/" + std::string(200, 'y');
  send(record_of(long_path));
  run_until([&] { return paths.size() == 1; });
  config.max_message = 300;
  config.udp_receive_buffer = 8192;
  listener.reconfigure(config);
  CHECK(count("qatime_udp_buffer_bytes") == 8192);
  send(record_of(long_path));
  run_until([&] { return count("qatime_malformed_total", "too_long") == 1; });
  config.allow = {*parse_network("192.0.2.0/24")};
  listener.reconfigure(config);
  send(record_of("/a"));
  run_until([&] { return count("qatime_ignored_total", "allow") == 1; });
  config.allow = {*parse_network("127.0.0.1")};
  config.max_message = 1024;
  listener.reconfigure(config);
  send(record_of(long_path));
  run_until([&] { return paths.size() == 2; });
}

TEST_CASE_METHOD(Fixture, "While it rests after many datagrams, all goes on") {
  SyslogConfig config;
  UdpListener& listener = listen(config);
  for (int i = 0; i < 100; ++i) send(record_of("/a"));
  run_until([&] { return paths.size() == 100; });
  SECTION("what comes is taken in, then and later") {
    for (std::size_t i = 1; i <= 20; ++i) {
      send(record_of("/b"));
      run_until([&] { return paths.size() == 100 + i; });
    }
  }
  SECTION("a buffer of another size is taken") {
    config.udp_receive_buffer = 8192;
    listener.reconfigure(config);
    for (int i = 0; i < 500; ++i) send(record_of("/b"));
    listener.drain_and_close();
    CHECK(count("qatime_udp_kernel_drops_total") > 0);
  }
  SECTION("it can be closed, and its port is free then") {
    send(record_of("/b"));
    listener.drain_and_close();
    CHECK(paths.size() == 101);
    settle();
    udp::socket other{context, udp::endpoint{boost::asio::ip::address_v4::loopback(), listener.port()}};
  }
}

TEST_CASE_METHOD(Fixture, "One that goes while it rests leaves its port") {
  std::optional<UdpListener> listener;
  listener.emplace(context, SyslogConfig::Listener{Transport::udp, "127.0.0.1", 0}, SyslogConfig{}, intake, metrics);
  const udp::endpoint port{boost::asio::ip::address_v4::loopback(), listener->port()};
  for (int i = 0; i < 100; ++i) send_to(port, record_of("/a"));
  run_until([&] { return paths.size() == 100; });
  listener.reset();
  settle();
  udp::socket other{context, port};
}

}  // namespace
}  // namespace qatime::ingest::udp_listener_test
