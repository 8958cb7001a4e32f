// SPDX-License-Identifier: MIT
#include "listen/tcp_listener.h"

#include <cerrno>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <sys/resource.h>

#include "listen/listen_error.h"
#include "listen/listener_fixture.h"

namespace qatime::ingest::tcp_listener_test {
namespace {

using namespace std::string_literals;
using boost::asio::ip::tcp;
using Paths = std::vector<std::string>;

class Fixture : public ListenerFixture {
 public:
  // The configuration is that of the first listener: they share their connections.
  TcpListener& listen(const SyslogConfig& with = {}) {
    if (!connections) connections.emplace(with, intake, metrics);
    return listeners_.emplace_back(context, SyslogConfig::Listener{Transport::tcp, "127.0.0.1", 0}, *connections);
  }

  void drain_and_close() {
    for (TcpListener& listener : listeners_) listener.close();
    connections->drain_and_close();
  }

  tcp::socket connect(const TcpListener& listener) {
    tcp::socket socket{clients_};
    socket.connect({boost::asio::ip::address_v4::loopback(), listener.port()});
    return socket;
  }

  static void send(tcp::socket& socket, std::string_view bytes) {
    boost::asio::write(socket, boost::asio::buffer(bytes.data(), bytes.size()));
  }

  static void reset(tcp::socket& socket) {
    socket.set_option(tcp::socket::linger{true, 0});
    socket.close();
  }

  std::optional<Connections> connections;

 private:
  boost::asio::io_context clients_{1};
  std::deque<TcpListener> listeners_;
};

TEST_CASE_METHOD(Fixture, "Records come in over several connections") {
  TcpListener& listener = listen();
  tcp::socket one = connect(listener);
  tcp::socket two = connect(listener);
  send(one, record_of("/a") + "\n" + record_of("/b") + "\r\n");
  send(two, std::to_string(record_of("/c").size()) + " " + record_of("/c"));
  run_until([&] { return paths.size() == 3; });
  std::ranges::sort(paths);
  CHECK(paths == Paths{"/a", "/b", "/c"});
  CHECK(open() == 2);
  CHECK(count("qatime_received_messages_total", "tcp") == 3);
  const std::size_t around = "\n\r\n82 "s.size();
  CHECK(count("qatime_received_bytes_total", "tcp") == static_cast<std::int64_t>(3 * record_of("/a").size() + around));
}

TEST_CASE_METHOD(Fixture, "Who is not allowed is closed, and takes nobody's room") {
  SyslogConfig config;
  config.max_connections = 1;
  config.allow = {*parse_network("127.0.0.2/32")};
  TcpListener& listener = listen(config);
  tcp::socket friendly{context};
  friendly.open(tcp::v4());
  friendly.bind({boost::asio::ip::make_address_v4("127.0.0.2"), 0});
  friendly.connect({boost::asio::ip::address_v4::loopback(), listener.port()});
  run_until([&] { return open() == 1; });
  tcp::socket stranger = connect(listener);
  run_until([&] { return count("qatime_connections_refused_total", "allow") == 1; });
  CHECK(is_closed(stranger));
  CHECK(open() == 1);
  send(friendly, record_of("/a") + "\n");
  run_until([&] { return paths.size() == 1; });
  CHECK(count("qatime_connections_refused_total", "displaced") == 0);
}

TEST_CASE_METHOD(Fixture, "What comes in one read is handed over at once") {
  tcp::socket client = connect(listen());
  send(client, record_of("/a") + "\n" + record_of("/b") + "\n" + record_of("/c") + "\n");
  run_until([&] { return paths.size() == 3; });
  CHECK(batches == std::vector<std::size_t>{3});
}

TEST_CASE_METHOD(Fixture, "A record may come byte by byte") {
  tcp::socket client = connect(listen());
  client.set_option(tcp::no_delay{true});
  const std::string stream = record_of("/a") + "\n" + record_of("/b") + "\n";
  for (std::size_t i = 0; i < stream.size(); ++i) {
    send(client, stream.substr(i, 1));
    run_until([&] { return count("qatime_received_bytes_total", "tcp") == static_cast<std::int64_t>(i) + 1; });
  }
  CHECK(paths == Paths{"/a", "/b"});
  CHECK(batches == std::vector<std::size_t>{1, 1});
}

TEST_CASE_METHOD(Fixture, "The rest at an orderly close is a record") {
  tcp::socket client = connect(listen());
  send(client, record_of("/a") + "\n" + record_of("/b"));
  client.close();
  run_until([&] { return paths.size() == 2 && open() == 0; });
}

TEST_CASE_METHOD(Fixture, "The rest at a reset is not") {
  tcp::socket client = connect(listen());
  send(client, record_of("/a") + "\n" + record_of("/b"));
  run_until([&] { return paths.size() == 1; });
  reset(client);
  run_until([&] { return open() == 0; });
  CHECK(paths == Paths{"/a"});
  CHECK(count("qatime_received_messages_total", "tcp") == 1);
}

TEST_CASE_METHOD(Fixture, "A message that is too long is counted once and disturbs none") {
  SyslogConfig config;
  config.max_message = 1024;
  tcp::socket client = connect(listen(config));
  send(client, record_of("/a") + "\n" + std::string(300'000, 'x') + "\n" + record_of("/b") + "\n");
  run_until([&] { return paths.size() == 2; });
  CHECK(count("qatime_malformed_total", "too_long") == 1);
  CHECK(count("qatime_received_messages_total", "tcp") == 3);
}

TEST_CASE_METHOD(Fixture, "A count that lies is one malformed message, however it comes") {
  const bool is_late = GENERATE(false, true);
  const std::string lie = GENERATE("30 "s, "400 "s);
  tcp::socket client = connect(listen());
  client.set_option(tcp::no_delay{true});
  const std::string stream = lie + record_of("/lost") + "\n" + record_of("/a") + "\n";
  const std::size_t first = is_late ? 33 : 0;
  if (is_late) {
    send(client, stream.substr(0, first));
    run_until([&] { return count("qatime_received_bytes_total", "tcp") == static_cast<std::int64_t>(first); });
  }
  send(client, stream.substr(first));
  run_until([&] { return paths.size() == 1; });
  CHECK(paths == Paths{"/a"});
  CHECK(metrics.sum("qatime_malformed_total") == 1);
}

TEST_CASE_METHOD(Fixture, "A counted message that never becomes whole is malformed at the close") {
  tcp::socket client = connect(listen());
  send(client, "1000 " + record_of("/a"));
  client.close();
  run_until([&] { return count("qatime_malformed_total", "framing") == 1; });
  CHECK(paths.empty());
}

TEST_CASE_METHOD(Fixture, "When full, the oldest connection without a record makes room") {
  SyslogConfig config;
  config.max_connections = 3;
  TcpListener& listener = listen(config);
  tcp::socket node = connect(listener);
  send(node, record_of("/a") + "\n");
  run_until([&] { return paths.size() == 1; });
  tcp::socket oldest = connect(listener);
  run_until([&] { return open() == 2; });
  tcp::socket noisy = connect(listener);
  send(noisy, "no record\n");
  run_until([&] { return count("qatime_malformed_total", "header") == 1; });

  tcp::socket other = connect(listener);
  run_until([&] { return count("qatime_connections_refused_total", "displaced") == 1; });
  CHECK(is_closed(oldest));
  CHECK_FALSE(is_closed(noisy));
  CHECK(open() == 3);
  send(other, record_of("/b") + "\n");
  send(node, record_of("/c") + "\n");
  run_until([&] { return paths.size() == 3; });
  CHECK(count("qatime_connections_refused_total", "full") == 0);
}

TEST_CASE_METHOD(Fixture, "When all connections sent records, a new one is refused") {
  SyslogConfig config;
  config.max_connections = 2;
  TcpListener& listener = listen(config);
  tcp::socket one = connect(listener);
  tcp::socket two = connect(listener);
  send(one, record_of("/a") + "\n");
  send(two, record_of("/b") + "\n");
  run_until([&] { return paths.size() == 2; });
  tcp::socket late = connect(listener);
  run_until([&] { return count("qatime_connections_refused_total", "full") == 1; });
  CHECK(is_closed(late));
  CHECK(open() == 2);
  one.close();
  run_until([&] { return open() == 1; });
  tcp::socket next = connect(listener);
  send(next, record_of("/c") + "\n");
  run_until([&] { return paths.size() == 3; });
}

TEST_CASE_METHOD(Fixture, "Listeners share the room, and the oldest of all makes some") {
  SyslogConfig config;
  config.max_connections = 2;
  TcpListener& one = listen(config);
  TcpListener& two = listen();
  tcp::socket oldest = connect(one);
  run_until([&] { return open() == 1; });
  tcp::socket node = connect(two);
  send(node, record_of("/a") + "\n");
  run_until([&] { return paths.size() == 1; });
  tcp::socket next = connect(two);
  run_until([&] { return count("qatime_connections_refused_total", "displaced") == 1; });
  CHECK(is_closed(oldest));
  send(next, record_of("/b") + "\n");
  run_until([&] { return paths.size() == 2; });
  tcp::socket late = connect(one);
  run_until([&] { return count("qatime_connections_refused_total", "full") == 1; });
  CHECK(is_closed(late));
  CHECK(open() == 2);
}

TEST_CASE_METHOD(Fixture, "300 connections are served at once") {
  TcpListener& listener = listen();
  std::vector<tcp::socket> clients;
  for (int i = 0; i < 300; ++i) clients.push_back(connect(listener));
  for (tcp::socket& client : clients) send(client, record_of("/a") + "\n" + record_of("/b") + "\n");
  run_until([&] { return paths.size() == 600; });
  CHECK(open() == 300);
  clients.clear();
  run_until([&] { return open() == 0; });
}

TEST_CASE_METHOD(Fixture, "A connection that floods does not starve the others") {
  TcpListener& listener = listen();
  tcp::socket flood = connect(listener);
  tcp::socket quiet = connect(listener);
  run_until([&] { return open() == 2; });
  flood.non_blocking(true);
  std::string block;
  for (int i = 0; i < 1000; ++i) block += record_of("/flood") + "\n";
  const auto fill = [&] {
    boost::system::error_code error;
    while (!error) flood.write_some(boost::asio::buffer(block), error);
  };
  fill();
  send(quiet, record_of("/quiet") + "\n");
  run_until([&] {
    fill();
    return std::ranges::find(paths, "/quiet") != paths.end();
  });
}

TEST_CASE_METHOD(Fixture, "Unfinished messages share one bound of memory") {
  SyslogConfig config;
  config.max_message = 8 << 20;
  TcpListener& listener = listen(config);
  tcp::socket node = connect(listener);
  send(node, record_of("/a") + "\n" + record_of("/b").substr(0, 50));
  run_until([&] { return paths.size() == 1; });
  // More than fits even if a buffer is no larger than what it holds.
  const std::string endless(6 << 20, 'x');
  std::vector<tcp::socket> clients;
  for (std::size_t i = 0; i * endless.size() < Connections::kMaxUnfinished + 2 * endless.size(); ++i) {
    clients.push_back(connect(listener));
    clients.back().non_blocking(true);
    std::string_view rest = endless;
    run_until([&] {
      boost::system::error_code error;
      rest.remove_prefix(clients.back().write_some(boost::asio::buffer(rest.data(), rest.size()), error));
      return rest.empty();
    });
  }
  run_until([&] { return count("qatime_malformed_total", "memory") >= 1; });
  send(node, record_of("/b").substr(50) + "\n");
  run_until([&] { return paths.size() == 2; });
}

TEST_CASE_METHOD(Fixture, "Without descriptors accepting pauses and goes on") {
  TcpListener& listener = listen();
  tcp::socket early = connect(listener);
  tcp::socket late{context};
  late.open(tcp::v4());
  run_until([&] { return open() == 1; });
  // UndefinedBehaviorSanitizer looks at a class for the first time through a pipe, which it cannot have later.
  CHECK_FALSE(boost::system::error_code{EMFILE, boost::system::system_category()}.message().empty());
  rlimit before{};
  REQUIRE(getrlimit(RLIMIT_NOFILE, &before) == 0);
  const rlimit none{static_cast<rlim_t>(late.native_handle()), before.rlim_max};
  REQUIRE(setrlimit(RLIMIT_NOFILE, &none) == 0);
  late.connect({boost::asio::ip::address_v4::loopback(), listener.port()});
  send(early, record_of("/a") + "\n");
  run_until([&] { return paths.size() == 1; });
  context.restart();
  const auto begin = std::chrono::steady_clock::now();
  std::size_t turns = 0;
  while (std::chrono::steady_clock::now() - begin < std::chrono::milliseconds{300}) {
    turns += context.run_one_for(std::chrono::milliseconds{10});
    context.restart();
  }
  CHECK(open() == 1);
  CHECK(turns < 100);
  REQUIRE(setrlimit(RLIMIT_NOFILE, &before) == 0);
  send(late, record_of("/b") + "\n");
  run_until([&] { return paths.size() == 2; });
}

TEST_CASE_METHOD(Fixture, "What has arrived over TCP is taken in before the close") {
  TcpListener& listener = listen();
  tcp::socket known = connect(listener);
  run_until([&] { return open() == 1; });
  std::string stream;
  for (int i = 0; i < 1000; ++i) stream += record_of("/known") + "\n";
  send(known, stream + record_of("/unfinished"));
  tcp::socket unaccepted = connect(listener);
  send(unaccepted, record_of("/unaccepted") + "\n");
  drain_and_close();
  CHECK(std::ranges::count(paths, "/known") == 1000);
  CHECK(std::ranges::count(paths, "/unaccepted") == 1);
  CHECK(paths.size() == 1001);
  CHECK(open() == 0);
  CHECK(is_closed(known));
  settle();
}

TEST_CASE_METHOD(Fixture, "A listener without connections closes at once") {
  listen();
  drain_and_close();
  settle();
  CHECK(open() == 0);
}

TEST_CASE_METHOD(Fixture, "A TCP port that is taken is one clear error") {
  const TcpListener& listener = listen();
  const SyslogConfig::Listener taken{Transport::tcp, "127.0.0.1", listener.port()};
  CHECK_THROWS_WITH(
      TcpListener(context, taken, *connections),
      fmt::format("cannot listen on tcp://127.0.0.1:{} (syslog.listen): Address already in use", listener.port()));
}

TEST_CASE("A listener is called as it is written") {
  CHECK(describe({Transport::tcp, "192.0.2.1", 1514}) == "tcp://192.0.2.1:1514");
  CHECK(describe({Transport::udp, "::1", 514}) == "udp://[::1]:514");
}

TEST_CASE_METHOD(Fixture, "Other limits hold for connections that are open") {
  SyslogConfig config;
  TcpListener& listener = listen(config);
  tcp::socket friendly{context};
  friendly.open(tcp::v4());
  friendly.bind({boost::asio::ip::make_address_v4("127.0.0.2"), 0});
  friendly.connect({boost::asio::ip::address_v4::loopback(), listener.port()});
  tcp::socket stranger = connect(listener);
  run_until([&] { return open() == 2; });
  const std::string long_path = "/" + std::string(200, 'x') + "/" + std::string(200, 'y');
  config.allow = {*parse_network("127.0.0.2/32")};
  config.max_message = 300;
  config.max_connections = 1;
  connections->reconfigure(config);
  CHECK(open() == 1);
  CHECK(is_closed(stranger));
  CHECK(count("qatime_connections_refused_total", "allow") == 1);
  send(friendly, record_of(long_path) + "\n" + record_of("/b") + "\n");
  run_until([&] { return paths.size() == 1; });
  CHECK(paths == Paths{"/b"});
  CHECK(count("qatime_malformed_total", "too_long") == 1);
  tcp::socket second{context};
  second.open(tcp::v4());
  second.bind({boost::asio::ip::make_address_v4("127.0.0.2"), 0});
  second.connect({boost::asio::ip::address_v4::loopback(), listener.port()});
  run_until([&] { return count("qatime_connections_refused_total", "full") == 1; });
}

}  // namespace
}  // namespace qatime::ingest::tcp_listener_test
