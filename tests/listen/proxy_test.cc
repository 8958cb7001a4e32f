// SPDX-License-Identifier: MIT
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>

#include "ingest/parse/proxy_header.h"
#include "ingest/parse/proxy_headers.h"
#include "listen/connections.h"
#include "listen/listener_fixture.h"
#include "listen/tcp_listener.h"
#include "log_lines.h"

namespace qatime::ingest::proxy_test {
namespace {

using namespace std::chrono_literals;
using boost::asio::ip::tcp;
using Catch::Contains;
using Paths = std::vector<std::string>;

// Of a client at 192.0.2.1, by each version.
const std::string kLine = "PROXY TCP4 192.0.2.1 192.0.2.2 50000 1514\r\n";
const std::string kBinary = binary_header(0x21, 0x11, kInetAddresses);

// The balancer is 127.0.0.2, and 192.0.2.0/24 may send.
class Fixture : public ListenerFixture {
 public:
  Fixture() {
    config.proxy_from = {*parse_network("127.0.0.2")};
    config.allow = {*parse_network("192.0.2.0/24"), *parse_network("127.0.0.3")};
  }

  void listen() {
    connections.emplace(config, intake, metrics, limit);
    listener.emplace(context, SyslogConfig::Listener{Transport::tcp, "127.0.0.1", 0}, *connections);
  }

  tcp::socket connect(const char* from = "127.0.0.2") {
    tcp::socket socket{clients_};
    socket.open(tcp::v4());
    socket.bind({boost::asio::ip::make_address_v4(from), 0});
    socket.connect({boost::asio::ip::address_v4::loopback(), listener->port()});
    socket.set_option(tcp::no_delay{true});
    return socket;
  }

  static void send(tcp::socket& socket, std::string_view bytes) {
    boost::asio::write(socket, boost::asio::buffer(bytes.data(), bytes.size()));
  }

  // The log of a connection that sends `bytes` and is refused as `reason`.
  std::string refusal(std::string_view bytes, std::string_view reason) {
    listen();
    return said(log::Format::text, [&] {
      tcp::socket client = connect();
      send(client, bytes);
      client.shutdown(tcp::socket::shutdown_send);
      run_until([&] { return refused(reason) == 1; });
      settle();
      CHECK(metrics.sum("qatime_connections_refused_total") == 1);
      CHECK(open() == 0);
      CHECK(count("qatime_received_messages_total") == 0);
    });
  }

  std::int64_t refused(std::string_view reason) { return count("qatime_connections_refused_total", reason); }

  SyslogConfig config;
  std::chrono::milliseconds limit = Connections::kHandshakeLimit;
  std::optional<Connections> connections;
  std::optional<TcpListener> listener;

 private:
  boost::asio::io_context clients_{1};
};

TEST_CASE_METHOD(Fixture, "Records come through a balancer, by either version and framing") {
  const std::string header =
      GENERATE(as<std::string>{}, kLine, kBinary, binary_header(0x21, 0x11, kInetAddresses + "\x04\0\3<14\n"s),
               binary_header(0x21, 0x21, kMappedAddresses), "PROXY TCP6 ::ffff:192.0.2.9 ::1 1 2\r\n"s);
  const bool is_counted = GENERATE(false, true);
  listen();
  tcp::socket client = connect();
  const std::string record = record_of("/a");
  send(client, header + (is_counted ? std::to_string(record.size()) + " " + record : record + "\n") + "<14>");
  run_until([&] { return paths.size() == 1; });
  CHECK(count("qatime_received_messages_total", "tcp") == 1);
  const std::size_t framing = is_counted ? std::to_string(record.size()).size() + 1 : 1;
  CHECK(count("qatime_received_bytes_total", "tcp") == static_cast<std::int64_t>(record.size() + framing + 4));
  CHECK(metrics.sum("qatime_connections_refused_total") == 0);
}

TEST_CASE_METHOD(Fixture, "A header may come byte by byte") {
  const std::string header =
      GENERATE(as<std::string>{}, kLine, binary_header(0x21, 0x11, kInetAddresses + std::string(40, '\n')));
  listen();
  tcp::socket client = connect();
  for (const char byte : header) {
    send(client, {&byte, 1});
    settle();
  }
  send(client, record_of("/a") + "\n");
  run_until([&] { return paths.size() == 1; });
}

TEST_CASE_METHOD(Fixture, "An unfinished header keeps nobody busy") {
  listen();
  tcp::socket client = connect();
  send(client, GENERATE(kLine.substr(0, 20), kBinary.substr(0, 14), kBinary.substr(0, 20)));
  run_until([&] { return open() == 1; });
  settle();
  context.restart();
  CHECK(context.run_for(200ms) == 0);
}

TEST_CASE_METHOD(Fixture, "A header of some thousand bytes is one") {
  listen();
  tcp::socket client = connect();
  send(client, binary_header(0x21, 0x11, kInetAddresses + std::string(16'000, 'x')) + record_of("/a") + "\n");
  run_until([&] { return paths.size() == 1; });
}

TEST_CASE_METHOD(Fixture, "syslog.allow judges whom the header names, and the log names the same") {
  const std::string header = GENERATE("PROXY TCP4 198.51.100.7 192.0.2.2 50000 1514\r\n"s,
                                      binary_header(0x21, 0x11, "\xC6\x33\x64\7\xC0\0\2\2\xC3\x50\x05\xEA"s));
  CHECK_THAT(refusal(header + record_of("/a") + "\n", "allow"), Contains("syslog.allow does not have 198.51.100.7"));
}

TEST_CASE_METHOD(Fixture, "Nobody else is believed, and the header of a stranger costs one message") {
  const std::string header =
      GENERATE(as<std::string>{}, kLine, "PROXY UNKNOWN\r\n"s, kBinary, binary_header(0x20, 0, ""),
               binary_header(0x21, 0x11, kInetAddresses + "\x04\0\3\nab"s));
  const bool is_counted = GENERATE(false, true);
  listen();
  const auto text = [&](std::string_view path) {
    const std::string record = record_of(path);
    return is_counted ? std::to_string(record.size()) + " " + record : record + "\n";
  };
  const std::string log = said(log::Format::text, [&] {
    tcp::socket allowed = connect("127.0.0.3");
    send(allowed, header + text("/a") + text("/b"));
    run_until([&] { return paths.size() == 2; });
    tcp::socket stranger = connect("127.0.0.4");
    run_until([&] { return refused("allow") == 1; });
    CHECK(is_closed(stranger));
  });
  CHECK(paths == Paths{"/a", "/b"});
  CHECK(count("qatime_malformed_total", "proxy") == 1);
  CHECK(metrics.sum("qatime_malformed_total") == 1);
  CHECK(count("qatime_received_messages_total", "tcp") == 3);
  CHECK_THAT(log, Contains("malformed messages (proxy): it is a PROXY header, which syslog.proxy_from does not expect; "
                           "the last is from 127.0.0.3"));
  CHECK_THAT(log, Contains("syslog.allow does not have 127.0.0.4"));
}

TEST_CASE_METHOD(Fixture, "A header behind the first is not believed, even of a balancer behind a balancer") {
  config.proxy_from.push_back(*parse_network("192.0.2.1"));
  const std::string second = "PROXY TCP4 198.51.100.7 192.0.2.2 50000 1514\r\n";
  listen();
  tcp::socket client = connect();
  send(client, kLine + second + record_of("/a") + "\n");
  run_until([&] { return paths.size() == 1; });
  CHECK(count("qatime_malformed_total", "proxy") == 1);
  CHECK(metrics.sum("qatime_malformed_total") == 1);
  CHECK(metrics.sum("qatime_connections_refused_total") == 0);
}

TEST_CASE_METHOD(Fixture, "A balancer without a header is refused, and the log names the key") {
  const std::string bytes =
      GENERATE(record_of("/a") + "\n", "P<14>"s, "proxy TCP4 192.0.2.1 192.0.2.2 1 2\r\n"s, "\n"s);
  CHECK_THAT(refusal(bytes, "proxy"),
             Contains("no PROXY header from 127.0.0.2, which syslog.proxy_from has: it begins with something else"));
}

TEST_CASE_METHOD(Fixture, "A header that is wrong is refused") {
  const std::string wrong =
      GENERATE("PROXY TCP4 192.0.2.1 192.0.2.2 65536 1514\r\n"s, "PROXY TCP4 192.0.2.1 192.0.2.2 50000 1514\n"s,
               binary_header(0x21, 0x12, kInetAddresses), binary_header(0x22, 0x11, kInetAddresses),
               binary_header(0x21, 0x11, "short"));
  CHECK_THAT(refusal(wrong + record_of("/a") + "\n", "proxy"),
             Contains("which syslog.proxy_from has: the header is wrong"));
}

TEST_CASE_METHOD(Fixture, "A header that ends too early is refused") {
  const std::string cut = GENERATE(kLine.substr(0, kLine.size() - 1), kLine.substr(0, 3), kBinary.substr(0, 15),
                                   kBinary.substr(0, kBinary.size() - 1));
  CHECK_THAT(refusal(cut, "proxy"), Contains("it closed the connection amid the header"));
}

TEST_CASE_METHOD(Fixture, "A header that is too long is refused before it has come") {
  const std::string begin = GENERATE(binary_header(0x21, 0x11, std::string(kMaxProxyHeader, 'x')).substr(0, 16),
                                     "PROXY UNKNOWN " + std::string(93, 'x'));
  CHECK_THAT(refusal(begin, "proxy"), Contains("it begins with something else"));
}

TEST_CASE_METHOD(Fixture, "A peer that does not finish its header loses its place when its time is over") {
  limit = 300ms;
  listen();
  tcp::socket silent = connect();
  tcp::socket slow = connect();
  send(slow, kBinary.substr(0, 20));
  tcp::socket node = connect();
  send(node, kLine);
  run_until([&] { return refused("proxy") == 2; });
  CHECK(is_closed(silent));
  CHECK(is_closed(slow));
  CHECK(refused("timeout") == 0);
  send(node, record_of("/a") + "\n");  // it could wait, because it is known
  run_until([&] { return paths.size() == 1; });
}

TEST_CASE_METHOD(Fixture, "Peers that never finish a header have the bound of all, and displace no sender") {
  config.max_connections = 50;
  listen();
  tcp::socket node = connect();
  send(node, kLine + record_of("/a") + "\n");
  run_until([&] { return paths.size() == 1; });
  std::deque<tcp::socket> others;
  for (int i = 0; i < 300; ++i) {
    others.push_back(connect());
    send(others.back(), kBinary.substr(0, 20));
    run_until([&] { return open() + refused("displaced") == i + 2; });
    CHECK(open() <= 50);
  }
  CHECK(refused("displaced") == 251);
  CHECK_FALSE(is_closed(node));
  send(node, record_of("/b") + "\n");
  run_until([&] { return paths.size() == 2; });
}

TEST_CASE_METHOD(Fixture, "A health check is nobody's failure, and no line") {
  const std::string check = GENERATE(""s, binary_header(0x20, 0, ""), binary_header(0x21, 0, ""), "PROXY UNKNOWN\r\n"s,
                                     "PROXY TCP4 127.0.0.2 127.0.0.1 50000 1514\r\n"s);
  const bool is_reset = GENERATE(false, true);
  listen();
  const std::string log = said(log::Format::text, [&] {
    tcp::socket probe = connect();
    send(probe, check);
    run_until([&] { return open() == 1; });
    settle();
    if (is_reset) probe.set_option(tcp::socket::linger{true, 0});
    probe.close();
    run_until([&] { return open() == 0; });
  });
  CHECK_THAT(log, !Contains("warning"));
  CHECK(metrics.sum("qatime_connections_refused_total") == 0);
  CHECK(count("qatime_received_messages_total") == 0);
}

TEST_CASE_METHOD(Fixture, "Without a client the connection's own address counts") {
  const std::string header =
      GENERATE(binary_header(0x20, 0, ""), binary_header(0x20, 0x11, kInetAddresses), binary_header(0x21, 0, ""),
               binary_header(0x21, 0x31, std::string(216, '/')), "PROXY UNKNOWN 192.0.2.1 192.0.2.2 1 2\r\n"s);
  SECTION("it may not send") {
    CHECK_THAT(refusal(header + record_of("/a") + "\n", "allow"), Contains("syslog.allow does not have 127.0.0.2"));
  }
  SECTION("it may send") {
    config.allow.push_back(*parse_network("127.0.0.2"));
    listen();
    tcp::socket client = connect();
    send(client, header);
    run_until([&] { return open() == 1; });
    settle();
    send(client, record_of("/a") + "\n");
    run_until([&] { return paths.size() == 1; });
    CHECK(metrics.sum("qatime_connections_refused_total") == 0);
  }
}

TEST_CASE_METHOD(Fixture, "What a balancer's connection has sent is taken in before the close") {
  listen();
  tcp::socket late = connect();
  send(late, kBinary.substr(0, 20));
  run_until([&] { return open() == 1; });
  settle();
  send(late, kBinary.substr(20) + record_of("/late") + "\n");
  tcp::socket unaccepted = connect();
  send(unaccepted, kLine + record_of("/unaccepted") + "\n");
  listener->close();
  connections->drain_and_close();
  CHECK(paths.size() == 2);
  CHECK(open() == 0);
  settle();
}

TEST_CASE_METHOD(Fixture, "Another syslog.allow judges open connections by whom their headers name") {
  listen();
  tcp::socket one = connect();
  send(one, kLine + record_of("/a") + "\n");
  tcp::socket other = connect();
  send(other, "PROXY TCP4 192.0.2.77 192.0.2.2 50000 1514\r\n" + record_of("/b") + "\n");
  tcp::socket unknown = connect();
  run_until([&] { return paths.size() == 2 && open() == 3; });
  config.allow = {*parse_network("192.0.2.77")};
  connections->reconfigure(config);
  CHECK(is_closed(one));
  CHECK_FALSE(is_closed(other));
  CHECK_FALSE(is_closed(unknown));  // its header has not come
  CHECK(refused("allow") == 1);
  send(unknown, kLine);
  run_until([&] { return refused("allow") == 2; });
  CHECK(open() == 1);
}

TEST_CASE_METHOD(Fixture, "A balancer that is one no longer is judged as what it is, and so are its connections") {
  listen();
  tcp::socket client = connect();
  send(client, kLine + record_of("/a") + "\n");
  tcp::socket late = connect();
  run_until([&] { return paths.size() == 1 && open() == 2; });
  config.proxy_from = {*parse_network("127.0.0.9")};
  const std::string log = said(log::Format::text, [&] { connections->reconfigure(config); });
  CHECK(is_closed(client));
  CHECK_THAT(log, Contains("syslog.allow does not have 127.0.0.2"));
  send(late, kLine);
  run_until([&] { return refused("allow") == 2; });
  CHECK(open() == 0);
}

TEST_CASE_METHOD(Fixture, "A balancer that becomes one has headers from its next connection on") {
  config.allow.clear();
  config.proxy_from.clear();
  listen();
  tcp::socket before = connect();
  run_until([&] { return open() == 1; });
  config.proxy_from = {*parse_network("127.0.0.0/8")};
  connections->reconfigure(config);
  send(before, record_of("/a") + "\n");
  run_until([&] { return paths.size() == 1; });
  tcp::socket after = connect();
  send(after, kLine + record_of("/b") + "\n");
  run_until([&] { return paths.size() == 2; });
  CHECK(metrics.sum("qatime_malformed_total") == 0);
  CHECK(metrics.sum("qatime_connections_refused_total") == 0);
}

}  // namespace
}  // namespace qatime::ingest::proxy_test
