// SPDX-License-Identifier: MIT
#include "listen/tls.h"

#include <array>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/ssl/impl/src.hpp>  // its own code, which qatime does not need
#include <boost/asio/write.hpp>
#include <fmt/core.h>

#include "config/values.h"
#include "ingest/parse/framing.h"
#include "ingest/parse/proxy_headers.h"
#include "listen/certificates.h"
#include "listen/connections.h"
#include "listen/listener_fixture.h"
#include "listen/tcp_listener.h"
#include "log_lines.h"

namespace qatime::ingest::tls_test {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;
using boost::asio::ip::tcp;
using Paths = std::vector<std::string>;
using Catch::Contains;

class Fixture : public ListenerFixture {
 public:
  // A client that trusts what `trusted` signed. Its handshake runs with the loop.
  struct Client {
    Client(boost::asio::io_context& io, const Identity& trusted, const Identity* identity)
        : settings{boost::asio::ssl::context::tls_client}, stream{io, settings_of(trusted, identity)} {}

    boost::asio::ssl::context& settings_of(const Identity& trusted, const Identity* identity) {
      settings.load_verify_file(trusted.certificate_file());
      settings.set_verify_mode(boost::asio::ssl::verify_peer);
      if (identity != nullptr) {
        settings.use_certificate_file(identity->certificate_file(), boost::asio::ssl::context::pem);
        settings.use_private_key_file(identity->key_file(), boost::asio::ssl::context::pem);
      }
      return settings;
    }

    void send(std::string_view bytes) { boost::asio::write(stream, boost::asio::buffer(bytes.data(), bytes.size())); }

    boost::asio::ssl::context settings;
    boost::asio::ssl::stream<tcp::socket> stream;
    std::optional<boost::system::error_code> greeted;  // what became of its handshake
  };

  Fixture() {
    config.syslog.tls.certificate = server.certificate_file();
    config.syslog.tls.key = server.key_file();
  }

  void listen() {
    connections.emplace(config.syslog, intake, metrics, handshake_limit);
    connections->secure(std::make_shared<const TlsSettings>(config));
    listener.emplace(context, SyslogConfig::Listener{Transport::tls, "127.0.0.1", 0}, *connections);
  }

  void ask_for_certificates(std::vector<std::string> permitted = {}) {
    config.syslog.tls.client_ca = ca.certificate_file();
    config.syslog.tls.permitted_peers = std::move(permitted);
  }

  void connect(tcp::socket& socket) const {
    socket.connect({boost::asio::ip::address_v4::loopback(), listener->port()});
  }

  // A client that has connected, has sent what is in front, and whose handshake begins.
  Client& begin(const Identity* identity = nullptr, int newest = TLS1_3_VERSION, const std::string& in_front = "") {
    Client& client = clients.emplace_back(context, ca, identity);
    SSL_set_max_proto_version(client.stream.native_handle(), newest);
    connect(client.stream.next_layer());
    boost::asio::write(client.stream.next_layer(), boost::asio::buffer(in_front));
    client.stream.async_handshake(boost::asio::ssl::stream_base::client,
                                  [&client](const boost::system::error_code& error) { client.greeted = error; });
    return client;
  }

  Client& greet(const Identity* identity = nullptr, int newest = TLS1_3_VERSION) {
    Client& client = begin(identity, newest);
    run_until([&] { return client.greeted.has_value(); });
    REQUIRE_FALSE(*client.greeted);
    return client;
  }

  // Whether a record of a client with this certificate arrives; else it was refused because of its certificate.
  bool is_heard(const Identity* identity, int newest = TLS1_3_VERSION) {
    const auto refused = count("qatime_connections_refused_total", "certificate");
    const std::size_t before = paths.size();
    Client& client = begin(identity, newest);
    run_until([&] { return client.greeted.has_value(); });
    if (!*client.greeted) {
      boost::system::error_code ignored;  // with TLS 1.3 the client is done before it is refused
      boost::asio::write(client.stream, boost::asio::buffer(record_of("/heard") + "\n"), ignored);
    }
    run_until(
        [&] { return paths.size() > before || count("qatime_connections_refused_total", "certificate") > refused; });
    return paths.size() > before;
  }

  std::int64_t refused(std::string_view reason) { return count("qatime_connections_refused_total", reason); }
  std::int64_t open() { return count("qatime_connections", "tls"); }

  Certificates certificates;
  Identity ca = certificates.authority("Our authority");
  Identity server = certificates.issue(ca, "qatime.example");
  Config config;
  std::chrono::milliseconds handshake_limit = Connections::kHandshakeLimit;
  std::optional<Connections> connections;
  std::optional<TcpListener> listener;
  std::deque<Client> clients;
};

TEST_CASE_METHOD(Fixture, "Records come in over TLS") {
  const int version = GENERATE(TLS1_2_VERSION, TLS1_3_VERSION);
  listen();
  Client& client = greet(nullptr, version);
  CHECK(SSL_version(client.stream.native_handle()) == version);
  client.send(record_of("/a") + "\n");
  const std::string counted = std::to_string(record_of("/b").size()) + " " + record_of("/b");
  client.send(counted);
  run_until([&] { return paths.size() == 2; });
  CHECK(paths == Paths{"/a", "/b"});
  CHECK(open() == 1);
  CHECK(count("qatime_connections", "tcp") == 0);
  CHECK(count("qatime_received_messages_total", "tls") == 2);
  CHECK(count("qatime_received_bytes_total", "tls") ==
        static_cast<std::int64_t>(record_of("/a").size() + 1 + counted.size()));
  CHECK(metrics.sum("qatime_connections_refused_total") == 0);
}

TEST_CASE_METHOD(Fixture, "What OpenSSL has read already is taken in though the socket is silent") {
  listen();
  Client& client = greet();
  const std::string line = record_of("/a") + "\n";
  const std::size_t in_a_turn = 4 * Framer::kChunk / line.size();
  std::size_t sent = 0;
  for (const std::size_t lines : {in_a_turn + 1, in_a_turn + 10, in_a_turn + 50}) {
    // Small records, so that what is left when the turn ends fits in one read of OpenSSL.
    for (std::size_t i = 0; i < lines; ++i) client.send(line);
    sent += lines;
    run_until([&] { return paths.size() == sent; });
  }
}

TEST_CASE_METHOD(Fixture, "The rest at an orderly close of TLS is a record") {
  listen();
  Client& client = greet();
  client.send(record_of("/a") + "\n" + record_of("/b"));
  client.stream.async_shutdown([](const boost::system::error_code&) {});
  run_until([&] { return paths.size() == 2 && open() == 0; });
}

TEST_CASE_METHOD(Fixture, "The rest at an end that TLS does not know of is not") {
  listen();
  Client& client = greet();
  client.send(record_of("/a") + "\n" + record_of("/b"));
  client.stream.next_layer().close();
  run_until([&] { return open() == 0; });
  CHECK(paths == Paths{"/a"});
  CHECK(count("qatime_received_messages_total", "tls") == 1);
}

TEST_CASE_METHOD(Fixture, "A client that speaks no TLS is refused and disturbs none") {
  listen();
  Client& client = greet();
  tcp::socket plain{context};
  connect(plain);
  boost::asio::write(plain, boost::asio::buffer(record_of("/plain") + "\n"));
  run_until([&] { return refused("handshake") == 1; });
  client.send(record_of("/a") + "\n");
  run_until([&] { return paths.size() == 1; });
  CHECK(paths == Paths{"/a"});
  CHECK(count("qatime_received_messages_total", "tls") == 1);
  CHECK(open() == 1);
}

TEST_CASE_METHOD(Fixture, "A PROXY header comes in front of TLS") {
  const std::string header = GENERATE("PROXY TCP4 192.0.2.1 192.0.2.2 50000 1514\r\n"s,
                                      binary_header(0x21, 0x21, kMappedAddresses + std::string(100, '\x16')));
  const bool is_apart = GENERATE(false, true);
  const int version = GENERATE(TLS1_2_VERSION, TLS1_3_VERSION);
  config.syslog.proxy_from = {*parse_network("127.0.0.1")};
  config.syslog.allow = {*parse_network("192.0.2.1")};
  listen();
  Client& client = begin(nullptr, version, header);
  if (is_apart) settle();
  run_until([&] { return client.greeted.has_value(); });
  REQUIRE_FALSE(*client.greeted);
  client.send(record_of("/a") + "\n");
  run_until([&] { return paths.size() == 1; });
  CHECK(metrics.sum("qatime_connections_refused_total") == 0);
  CHECK(metrics.sum("qatime_malformed_total") == 0);
}

TEST_CASE_METHOD(Fixture, "syslog.allow judges whom the header names before TLS") {
  config.syslog.proxy_from = {*parse_network("127.0.0.1")};
  config.syslog.allow = {*parse_network("127.0.0.1")};
  listen();
  Client& client = begin(nullptr, TLS1_3_VERSION, "PROXY TCP4 192.0.2.1 192.0.2.2 50000 1514\r\n");
  run_until([&] { return refused("allow") == 1 && client.greeted; });
  CHECK(open() == 0);
  CHECK(refused("handshake") == 0);
}

TEST_CASE_METHOD(Fixture, "One limit holds for PROXY header and handshake together") {
  handshake_limit = 300ms;
  config.syslog.proxy_from = {*parse_network("127.0.0.1")};
  listen();
  const std::string header =
      GENERATE(""s, "PROXY "s, "PROXY TCP4 192.0.2.1 192.0.2.2 50000 1514\r\n\x16"s, binary_header(0x20, 0, ""));
  tcp::socket silent{context};
  connect(silent);
  boost::asio::write(silent, boost::asio::buffer(header));
  run_until([&] { return metrics.sum("qatime_connections_refused_total") == 1; });
  CHECK(refused("timeout") == (header.size() > 6 ? 1 : 0));
  CHECK(refused("proxy") == (header.size() > 6 ? 0 : 1));
  CHECK(open() == 0);
}

TEST_CASE_METHOD(Fixture, "A health check in front of TLS is nobody's failure") {
  config.syslog.proxy_from = {*parse_network("127.0.0.1")};
  config.syslog.allow = {*parse_network("192.0.2.1")};
  listen();
  tcp::socket probe{context};
  connect(probe);
  boost::asio::write(probe, boost::asio::buffer(GENERATE(""s, binary_header(0x20, 0, ""))));
  run_until([&] { return open() == 1; });
  settle();
  probe.close();
  run_until([&] { return open() == 0; });
  CHECK(metrics.sum("qatime_connections_refused_total") == 0);
}

TEST_CASE_METHOD(Fixture, "The header of a stranger in front of TLS names the key") {
  const std::string header =
      GENERATE("PROXY TCP4 192.0.2.1 192.0.2.2 50000 1514\r\n"s, binary_header(0x21, 0x11, kInetAddresses));
  const std::size_t piece = GENERATE(3U, 1000U);
  listen();
  const std::string log = said(log::Format::text, [&] {
    tcp::socket plain{context};
    connect(plain);
    plain.set_option(tcp::no_delay{true});
    boost::asio::write(plain, boost::asio::buffer(header.substr(0, piece)));
    settle();
    if (piece < header.size()) boost::asio::write(plain, boost::asio::buffer(header.substr(piece)));
    run_until([&] { return refused("handshake") == 1; });
  });
  CHECK_THAT(log,
             Contains("no TLS connection with 127.0.0.1: it sends a PROXY header, which syslog.proxy_from does not "
                      "expect"));
}

TEST_CASE_METHOD(Fixture, "A client that knows TLS 1.1 at most is refused") {
  listen();
  Client& client = clients.emplace_back(context, ca, nullptr);
  SSL_set_security_level(client.stream.native_handle(), 0);
  SSL_set_min_proto_version(client.stream.native_handle(), TLS1_1_VERSION);
  SSL_set_max_proto_version(client.stream.native_handle(), TLS1_1_VERSION);
  connect(client.stream.next_layer());
  client.stream.async_handshake(boost::asio::ssl::stream_base::client,
                                [&](const boost::system::error_code& error) { client.greeted = error; });
  run_until([&] { return refused("handshake") == 1 && client.greeted; });
  CHECK(*client.greeted);
  CHECK(open() == 0);
}

TEST_CASE_METHOD(Fixture, "A client that does not trust our certificate is counted") {
  listen();
  const Identity other = certificates.authority("Another authority");
  Client& client = clients.emplace_back(context, other, nullptr);
  connect(client.stream.next_layer());
  client.stream.async_handshake(boost::asio::ssl::stream_base::client,
                                [&](const boost::system::error_code& error) { client.greeted = error; });
  run_until([&] { return refused("handshake") == 1; });
}

TEST_CASE_METHOD(Fixture, "A peer that keeps silent loses its place when its time is over") {
  handshake_limit = 300ms;
  listen();
  Client& client = greet();
  tcp::socket silent{context};
  connect(silent);
  tcp::socket slow{context};
  connect(slow);
  boost::asio::write(slow, boost::asio::buffer("\x16\x03\x01", 3));
  run_until([&] { return refused("timeout") == 2; });
  CHECK(open() == 1);
  client.send(record_of("/a") + "\n");
  run_until([&] { return paths.size() == 1; });
}

TEST_CASE_METHOD(Fixture, "A peer that connects and goes is nobody's failure") {
  listen();
  tcp::socket probe{context};
  connect(probe);
  run_until([&] { return open() == 1; });
  probe.close();
  run_until([&] { return open() == 0; });
  CHECK(metrics.sum("qatime_connections_refused_total") == 0);
}

TEST_CASE_METHOD(Fixture, "A peer in its handshake makes room as any other without a record") {
  config.syslog.max_connections = 1;
  listen();
  tcp::socket silent{context};
  connect(silent);
  run_until([&] { return open() == 1; });
  greet().send(record_of("/a") + "\n");
  run_until([&] { return paths.size() == 1; });
  CHECK(refused("displaced") == 1);
  CHECK(refused("timeout") == 0);
}

TEST_CASE_METHOD(Fixture, "Only certificates of client_ca are heard") {
  ask_for_certificates();
  listen();
  const Identity ours = certificates.issue(ca, "any");
  const Identity other_ca = certificates.authority("Another authority");
  const Identity stranger = certificates.issue(other_ca, "any");
  const int version = GENERATE(TLS1_2_VERSION, TLS1_3_VERSION);
  CHECK(is_heard(&ours, version));
  CHECK_FALSE(is_heard(&stranger, version));
  CHECK_FALSE(is_heard(nullptr, version));
  CHECK(refused("certificate") == 2);
  CHECK(refused("handshake") == 0);
}

TEST_CASE_METHOD(Fixture, "Any certificate of client_ca is an anchor") {
  const Identity between = certificates.intermediate(ca, "Our intermediate");
  const Identity ours = certificates.issue(between, "any");
  const Identity other = certificates.issue(ca, "any");
  SECTION("an intermediate one alone") {
    config.syslog.tls.client_ca = between.certificate_file();
    listen();
    CHECK(is_heard(&ours));
    CHECK_FALSE(is_heard(&other));
  }
  SECTION("that of a peer") {
    config.syslog.tls.client_ca = other.certificate_file();
    listen();
    CHECK(is_heard(&other));
    CHECK_FALSE(is_heard(&ours));
  }
}

TEST_CASE_METHOD(Fixture, "A certificate is permitted by its fingerprint") {
  const Identity one = certificates.issue(ca, "one");
  const Identity two = certificates.issue(ca, "two");
  const Identity three = certificates.issue(ca, "three");
  const auto hash = [](const Identity& identity, const EVP_MD* algorithm, std::string text) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> bytes{};
    unsigned size = 0;
    REQUIRE(X509_digest(identity.certificate(), algorithm, bytes.data(), &size) == 1);
    for (unsigned i = 0; i < size; ++i) text += fmt::format(":{:02x}", bytes.at(i));
    return text;
  };
  const auto permitted = [](const std::string& name) { return parse_peer(name).value(); };
  ask_for_certificates({permitted(hash(one, EVP_sha256(), "SHA-256")), permitted(hash(two, EVP_sha1(), "sha-1"))});
  listen();
  CHECK(is_heard(&one));
  CHECK(is_heard(&two));
  CHECK_FALSE(is_heard(&three));
}

TEST_CASE_METHOD(Fixture, "Only permitted names are heard") {
  ask_for_certificates({"a.example.com", "*.logs.example.com", "192.0.2.7", "2001:db8::7"});
  listen();
  const auto hears = [&](const std::string& common_name, const std::string& alternatives) {
    const Identity identity = certificates.issue(ca, common_name, alternatives);
    return is_heard(&identity);
  };
  CHECK(hears("any", "DNS:a.example.com"));
  CHECK(hears("any", "DNS:other.example.com,DNS:A.Example.COM"));
  CHECK(hears("any", "DNS:*.example.com"));
  CHECK(hears("any", "DNS:x.logs.example.com"));
  CHECK(hears("any", "IP:192.0.2.7"));
  CHECK(hears("any", "IP:2001:db8:0::7"));
  CHECK(hears("a.example.com", ""));
  CHECK(hears("a.example.com", "IP:192.0.2.99"));  // no dNSName, so the common name counts

  CHECK_FALSE(hears("a.example.com", "DNS:other.example.com"));
  CHECK_FALSE(hears("any", "DNS:b.example.com"));
  CHECK_FALSE(hears("any", "DNS:x.a.example.com"));
  CHECK_FALSE(hears("any", "DNS:a*.example.com"));
  CHECK_FALSE(hears("any", "DNS:x.y.logs.example.com"));
  CHECK_FALSE(hears("any", "DNS:logs.example.com"));
  CHECK_FALSE(hears("192.0.2.7", "DNS:192.0.2.7"));
  CHECK_FALSE(hears("any", "IP:192.0.2.8"));
}

TEST_CASE_METHOD(Fixture, "New connections use new settings, open ones go on") {
  listen();
  Client& old = greet();
  const Identity renewed = certificates.issue(ca, "renewed.example");
  config.syslog.tls.certificate = renewed.certificate_file();
  config.syslog.tls.key = renewed.key_file();
  connections->secure(std::make_shared<const TlsSettings>(config));
  Client& next = greet();
  const auto serial_of = [](Client& client) {
    return ASN1_INTEGER_get(X509_get0_serialNumber(SSL_get0_peer_certificate(client.stream.native_handle())));
  };
  CHECK(serial_of(old) == ASN1_INTEGER_get(X509_get0_serialNumber(server.certificate())));
  CHECK(serial_of(next) == ASN1_INTEGER_get(X509_get0_serialNumber(renewed.certificate())));
  old.send(record_of("/old") + "\n");
  run_until([&] { return paths.size() == 1; });
  next.send(record_of("/next") + "\n");
  run_until([&] { return paths.size() == 2; });
}

TEST_CASE_METHOD(Fixture, "What has arrived over TLS is taken in before the close") {
  listen();
  Client& client = greet();
  run_until([&] { return open() == 1; });
  settle();
  // All has to be with the receiver: no more than its socket holds, and nothing that waits for an acknowledgement.
  client.stream.lowest_layer().set_option(tcp::no_delay{true});
  for (int i = 0; i < 300; ++i) client.send(record_of("/a") + "\n");
  listener->close();
  connections->drain_and_close();
  CHECK(paths.size() == 300);
  CHECK(open() == 0);
  settle();
}

// The fault of a configuration with the tls section of `config`.
std::string wrong(const Config& config) {
  try {
    (void)TlsSettings{config};
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "nothing";
}

TEST_CASE_METHOD(Fixture, "Each file that is not right is one clear error") {
  const Identity other = certificates.issue(ca, "other.example");
  CHECK(wrong(config) == "nothing");
  SyslogConfig::Tls& tls = config.syslog.tls;
  const SyslogConfig::Tls right = tls;
  const std::string text = certificates.file("text.pem", "no certificate\n");
  const std::string empty = certificates.file("empty.pem", "");

  tls.certificate = "/nonexistent/certificate.pem";
  config.places["syslog.tls.certificate"] = "qatime.toml:7:15";
  CHECK(wrong(config) ==
        "qatime.toml:7:15: syslog.tls.certificate names /nonexistent/certificate.pem: "
        "No such file or directory");
  tls.certificate = "/";
  CHECK_THAT(wrong(config), Contains("names /: Is a directory"));
  tls.certificate = text;
  CHECK_THAT(wrong(config), Contains(text + ": it holds no certificate in PEM form"));
  tls.certificate = empty;
  CHECK_THAT(wrong(config), Contains("it is empty"));
  tls = right;
  tls.key = text;
  CHECK(wrong(config) == "syslog.tls.key names " + text + ": it holds no private key in PEM form");
  tls.key = other.key_file();
  CHECK_THAT(wrong(config), Contains("it is not the key of " + right.certificate));
  tls.key = certificates.locked_key(server);
  CHECK_THAT(wrong(config), Contains("it needs a passphrase"));
  tls = right;
  tls.client_ca = text;
  CHECK(wrong(config) == "syslog.tls.client_ca names " + text + ": it holds no certificate in PEM form");
}

TEST_CASE_METHOD(Fixture, "Settings say whose certificate it is") {
  CHECK_THAT(TlsSettings{config}.describe(), Contains("CN=qatime.example, valid until 20"));
}

}  // namespace
}  // namespace qatime::ingest::tls_test
