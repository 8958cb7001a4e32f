// SPDX-License-Identifier: MIT
#include "admin/http_server.h"

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>

#include "catch.h"

namespace qatime::admin::http_server_test {
namespace {

using boost::asio::ip::tcp;
using namespace std::chrono_literals;

// More than the buffers of two sockets take (tcp(7): tcp_wmem, at most 4 MiB, and kReceiveBuffer).
constexpr std::size_t kLarge = 5 << 20;
constexpr int kReceiveBuffer = 64 << 10;

// So long that none of them ends a test, however slow the machine.
constexpr HttpServer::Limits kNoHurry{1h, 1h, 1h};

// A server, and peers of it in the same thread.
struct Fixture {
  // Runs the server until `done` or for a generous while.
  template <class Done>
  bool run_until(Done done) {
    const auto end = std::chrono::steady_clock::now() + 2min;
    while (!done() && std::chrono::steady_clock::now() < end) io.run_for(1ms);
    return done();
  }

  tcp::socket connect() { return connect(server); }

  tcp::socket connect(const HttpServer& to) {
    tcp::socket peer{io, tcp::v4()};
    peer.set_option(tcp::socket::receive_buffer_size{kReceiveBuffer});
    peer.connect({boost::asio::ip::make_address("127.0.0.1"), to.port()});
    peer.non_blocking(true);
    return peer;
  }

  // All that comes until the server closes, or what has come once it has `end` in it.
  std::string receive(tcp::socket& peer, std::string_view end = {}) {
    std::string text;
    run_until([&] {
      std::array<char, 64 << 10> bytes{};
      boost::system::error_code error;
      const std::size_t size = peer.read_some(boost::asio::buffer(bytes), error);
      text.append(bytes.data(), size);
      if (!end.empty() && text.find(end) != std::string::npos) return true;
      return error && error != boost::asio::error::would_block;
    });
    return text;
  }

  std::string ask(const std::string& request) {
    tcp::socket peer = connect();
    boost::asio::write(peer, boost::asio::buffer(request));
    return receive(peer);
  }

  static std::string get(const std::string& path, const std::string& method = "GET") {
    return method + " " + path + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
  }

  bool is_closed(tcp::socket& peer) {
    char byte = 0;
    boost::system::error_code error;
    peer.read_some(boost::asio::buffer(&byte, 1), error);
    return error && error != boost::asio::error::would_block;
  }

  boost::asio::io_context io{1};
  std::string body = "hello";
  HttpServer server{io,
                    {"127.0.0.1", 0},
                    {"qatime.example.com"},
                    [this](std::string_view path) {
                      return path == "/here" ? Response{200, "text/plain", body} : Response{404, "text/plain", "no"};
                    },
                    kNoHurry};
};

// A fixture whose limits are over in a moment.
struct HurriedFixture : Fixture {
  static constexpr HttpServer::Limits kLimits{100ms, 100ms, 100ms};
  HttpServer hurried{
      io, {"127.0.0.1", 0}, {}, [this](std::string_view) { return Response{200, "text/plain", body}; }, kLimits};
};

}  // namespace

TEST_CASE("What is there is answered, with a query too, and what is not is 404") {
  Fixture f;
  const std::string answer = f.ask(Fixture::get("/here?x=1"));
  CHECK(answer.starts_with("HTTP/1.1 200 OK\r\n"));
  CHECK(answer.find("Content-Length: 5\r\n") != std::string::npos);
  CHECK(answer.find("Content-Security-Policy: default-src 'none'") != std::string::npos);
  CHECK(answer.ends_with("\r\n\r\nhello"));
  CHECK(f.ask(Fixture::get("/there")).starts_with("HTTP/1.1 404 "));
}

TEST_CASE("HEAD has the length and nothing behind it") {
  Fixture f;
  const std::string answer = f.ask(Fixture::get("/here", "HEAD"));
  CHECK(answer.starts_with("HTTP/1.1 200 "));
  CHECK(answer.find("Content-Length: 5\r\n") != std::string::npos);
  CHECK(answer.ends_with("\r\n\r\n"));
}

TEST_CASE("Other methods are not allowed, and whoever speaks no HTTP is told so") {
  Fixture f;
  const std::string answer = f.ask("POST /here HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc");
  CHECK(answer.starts_with("HTTP/1.1 405 "));
  CHECK(answer.find("Allow: GET, HEAD\r\n") != std::string::npos);
  CHECK(f.ask("<14>1 2026-01-27T14:12:23Z q-1 qumulo - - -\r\n\r\n").starts_with("HTTP/1.1 400 "));
}

TEST_CASE(
    "It answers to addresses, to localhost, to its host's name and to those that it was given, and to no others") {
  Fixture f;
  const auto ask_as = [&](const std::string& host) {
    return f.ask("GET /here HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n\r\n");
  };
  std::array<char, 256> own{};
  REQUIRE(gethostname(own.data(), own.size() - 1) == 0);
  for (const std::string host : {"127.0.0.1:9514", "[::1]:9514", "[::1]", "localhost:9514", "a.localhost",
                                 "LocalHost:9514", "a.LOCALHOST", "localhost.", "localhost.:9514", "qatime.example.com",
                                 "Qatime.Example.COM.:443", static_cast<const char*>(own.data())}) {
    CAPTURE(host);
    CHECK(ask_as(host).starts_with("HTTP/1.1 200 "));
  }
  for (const std::string host : {"example.com", "example.com:9514", "127.0.0.1.example.com", "[",
                                 "localhost.example.com", "notlocalhost", "x.qatime.example.com", "."}) {
    CAPTURE(host);
    CHECK(ask_as(host).starts_with("HTTP/1.1 421 "));
  }
  const std::string head = f.ask("HEAD /here HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n");
  CHECK(head.starts_with("HTTP/1.1 421 "));
  CHECK(head.ends_with("\r\n\r\n"));
}

TEST_CASE("On every address it answers to no others") {
  Fixture f;
  HttpServer everywhere{f.io, {"0.0.0.0", 0}, {}, [](std::string_view) { return Response{}; }, kNoHurry};
  const auto ask_as = [&](const std::string& host) {
    tcp::socket peer = f.connect(everywhere);
    boost::asio::write(peer, boost::asio::buffer("GET / HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n\r\n"));
    return f.receive(peer);
  };
  CHECK(ask_as("192.0.2.1:9514").starts_with("HTTP/1.1 200 "));
  CHECK(ask_as("example.com").starts_with("HTTP/1.1 421 "));
}

TEST_CASE("A request of HTTP/1.1 names one host") {
  Fixture f;
  CHECK(f.ask("GET /here HTTP/1.1\r\nConnection: close\r\n\r\n").starts_with("HTTP/1.1 400 "));
  CHECK(f.ask("GET /here HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n").starts_with("HTTP/1.1 400 "));
  CHECK(f.ask("GET /here HTTP/1.0\r\n\r\n").starts_with("HTTP/1.1 200 "));
}

TEST_CASE("The host of a target in absolute form counts, not the field") {
  Fixture f;
  const auto ask = [&](const std::string& target, const std::string& host) {
    return f.ask("GET " + target + " HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n\r\n");
  };
  CHECK(ask("http://localhost:9514/here?x=1", "example.com").ends_with("hello"));
  CHECK(ask("HTTP://127.0.0.1/here", "localhost").ends_with("hello"));
  CHECK(ask("http://localhost", "localhost").starts_with("HTTP/1.1 404 "));
  CHECK(ask("http://example.com/here", "localhost").starts_with("HTTP/1.1 421 "));
  CHECK(ask("http://example.com/here", "").starts_with("HTTP/1.1 421 "));
  CHECK(f.ask("GET http://example.com/here HTTP/1.0\r\n\r\n").starts_with("HTTP/1.1 421 "));
  CHECK(ask("here", "localhost").starts_with("HTTP/1.1 400 "));
  CHECK(ask("ftp://localhost/here", "localhost").starts_with("HTTP/1.1 400 "));
}

TEST_CASE("A header over the limit is refused") {
  Fixture f;
  const std::string answer = f.ask("GET /here HTTP/1.1\r\nX: " + std::string(HttpServer::kMaxHeader, 'x') + "\r\n\r\n");
  CHECK(answer.starts_with("HTTP/1.1 431 "));
}

TEST_CASE("A connection serves one request after the other") {
  Fixture f;
  tcp::socket peer = f.connect();
  for (int i = 0; i < 3; ++i) {
    boost::asio::write(peer, boost::asio::buffer(std::string{"GET /here HTTP/1.1\r\nHost: localhost\r\n\r\n"}));
    CHECK(f.receive(peer, "hello").starts_with("HTTP/1.1 200 "));
  }
}

TEST_CASE("When there are too many connections, the one that has been idle longest makes room") {
  Fixture f;
  std::vector<tcp::socket> idle;
  for (std::size_t i = 0; i < HttpServer::kMaxConnections; ++i) idle.push_back(f.connect());
  boost::asio::write(idle[0], boost::asio::buffer(std::string{"GET /here HTTP/1.1\r\nHost: localhost\r\n\r\n"}));
  CHECK(f.receive(idle[0], "hello").starts_with("HTTP/1.1 200 "));
  CHECK(f.ask(Fixture::get("/here")).ends_with("hello"));
  CHECK(f.run_until([&] { return f.is_closed(idle[1]); }));
  CHECK_FALSE(f.is_closed(idle[0]));
  CHECK_FALSE(f.is_closed(idle[2]));
}

TEST_CASE("Who is idle makes room before who is being served") {
  Fixture f;
  f.body.assign(kLarge, 'x');
  std::vector<tcp::socket> served;
  for (std::size_t i = 0; i + 1 < HttpServer::kMaxConnections; ++i) {
    served.push_back(f.connect());
    boost::asio::write(served.back(), boost::asio::buffer(Fixture::get("/here")));
    f.io.run_for(1ms);
  }
  tcp::socket idle = f.connect();
  boost::asio::write(idle, boost::asio::buffer(std::string{"GET /there HTTP/1.1\r\nHost: localhost\r\n\r\n"}));
  CHECK(f.receive(idle, "no").starts_with("HTTP/1.1 404 "));
  CHECK(f.ask(Fixture::get("/there")).starts_with("HTTP/1.1 404 "));
  CHECK(f.run_until([&] { return f.is_closed(idle); }));
  CHECK(f.receive(served.front()).ends_with(f.body));
}

TEST_CASE("Who does not read what was asked for makes room like who asks for nothing") {
  Fixture f;
  f.body.assign(kLarge, 'x');
  std::vector<tcp::socket> stalled;
  for (std::size_t i = 0; i < 3 * HttpServer::kMaxConnections; ++i) {
    stalled.push_back(f.connect());
    boost::asio::write(stalled.back(), boost::asio::buffer(Fixture::get("/here")));
    f.io.run_for(1ms);
  }
  CHECK(f.ask(Fixture::get("/there")).starts_with("HTTP/1.1 404 "));
}

TEST_CASE("Who takes too long for a request or a response is closed") {
  HurriedFixture f;
  f.body.assign(kLarge, 'x');
  std::vector<tcp::socket> peers;
  for (int i = 0; i < 2; ++i) peers.push_back(f.connect(f.hurried));
  boost::asio::write(peers[0], boost::asio::buffer(std::string{"GET /he"}));
  boost::asio::write(peers[1], boost::asio::buffer(Fixture::get("/here")));
  CHECK(f.run_until([&] { return f.is_closed(peers[0]); }));
  f.io.run_for(500ms);
  std::string rest;
  CHECK(f.run_until([&] {
    std::vector<char> bytes(1 << 20);
    boost::system::error_code error;
    rest.append(bytes.data(), peers[1].read_some(boost::asio::buffer(bytes), error));
    return error && error != boost::asio::error::would_block;
  }));
  CHECK(rest.size() < f.body.size());
}

TEST_CASE("Who asks for nothing more is closed after a while") {
  HurriedFixture f;
  tcp::socket peer = f.connect(f.hurried);
  boost::asio::write(peer, boost::asio::buffer(std::string{"GET /here HTTP/1.1\r\nHost: localhost\r\n\r\n"}));
  CHECK(f.receive(peer).ends_with("hello"));
  CHECK(f.run_until([&] { return f.is_closed(peer); }));
}

TEST_CASE("A port that is in use is an error of the configuration") {
  Fixture f;
  const AdminConfig::ListenAddress same{"127.0.0.1", f.server.port()};
  try {
    const HttpServer second{f.io, same, {}, [](std::string_view) { return Response{}; }, {}};
    FAIL("no error");
  } catch (const ConfigError& error) {
    CHECK(std::string{error.what()} ==
          "cannot listen on 127.0.0.1:" + std::to_string(f.server.port()) + " (admin.listen): Address already in use");
  }
}

}  // namespace qatime::admin::http_server_test
