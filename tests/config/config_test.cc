// SPDX-License-Identifier: MIT
#include "config/config.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <utility>

#include <fmt/core.h>
#include <unistd.h>

#include "catch.h"
#include "config/units.h"

namespace qatime::config_test {

using namespace std::chrono_literals;
using namespace std::string_literals;

namespace {

class TemporaryFile {
 public:
  explicit TemporaryFile(std::string_view text) { std::ofstream{path_} << text; }
  ~TemporaryFile() { std::filesystem::remove(path_); }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_ = std::filesystem::temp_directory_path() / ("qatime-config-" + std::to_string(getpid()) + ".toml");
};

Config load(std::string_view text) { return load_config(TemporaryFile{text}.path(), {}); }

Config set(std::vector<std::string> settings) { return load_config(TemporaryFile{""}.path(), settings); }

template <class Call>
std::string error_of(Call call) {
  try {
    call();
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "no error";
}

std::string error_in(std::string_view text) {
  return error_of([&] { (void)load(text); });
}

std::string error_of_set(const std::string& setting) {
  return error_of([&] { (void)set({setting}); });
}

}  // namespace

using Catch::Contains;
using Catch::StartsWith;

TEST_CASE("An empty file leaves the defaults") {
  const Config config = load("");
  CHECK(config.syslog.listen.size() == 2);
  CHECK(config.nfs.exports == std::vector<NfsConfig::Export>{{"/", "/"}});
}

TEST_CASE("The sample configuration says exactly the defaults") {
  const Config sample = load_config(QATIME_SAMPLE_CONFIG, {});
  for (const std::string& key : config_keys()) {
    CAPTURE(key);
    CHECK(sample.places.contains(key));
  }
  Config defaults;
  const ConfigChanges changes = reconfigure(defaults, sample);
  CHECK(changes.in_force == std::vector<std::string>{});
  CHECK(changes.at_restart == std::vector<std::string>{});
}

TEST_CASE("TLS is configured by files and names") {
  const Config config = load(R"([syslog]
listen = ["tls://[::]:6514"]
[syslog.tls]
certificate = "/etc/qatime/certificate.pem"
key = "key.pem"
client_ca = "ca.pem"
permitted_peers = ["forwarder.example.com", "*.logs.example.com", "192.0.2.7", "2001:db8::7"]
)");
  CHECK(config.syslog.listen[0] == SyslogConfig::Listener{SyslogConfig::Listener::Transport::tls, "::", 6514});
  CHECK(config.syslog.uses_tls());
  CHECK_FALSE(Config{}.syslog.uses_tls());
  CHECK(config.syslog.tls.certificate == "/etc/qatime/certificate.pem");
  CHECK(config.syslog.tls.key == "key.pem");
  CHECK(config.syslog.tls.client_ca == "ca.pem");
  CHECK(config.syslog.tls.permitted_peers.size() == 4);
}

TEST_CASE("What TLS lacks is said where it is asked for") {
  CHECK_THAT(error_in("[syslog]\nlisten = [\"tls://[::]:6514\"]\ntls.key = \"key.pem\"\n"),
             Contains(":2:10: syslog.listen has tls://, which needs syslog.tls.certificate and syslog.tls.key"));
  CHECK(error_of_set("syslog.listen=[\"tls://[::]:6514\"]") ==
        "--set syslog.listen=[\\x22tls://[::]:6514\\x22]: syslog.listen has tls://, which needs "
        "syslog.tls.certificate and syslog.tls.key");
  CHECK_THAT(error_in("[syslog.tls]\npermitted_peers = [\"a.example\"]\n"),
             Contains(":2:19: syslog.tls.permitted_peers needs syslog.tls.client_ca"));
  const std::string hash = "00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff:00:11:22:33";
  CHECK(set({"syslog.tls.client_ca=ca", "syslog.tls.permitted_peers=[\"Sha-1:" + hash + "\"]"})
            .syslog.tls.permitted_peers.front() == "sha-1:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33");
  for (const std::string& name :
       {""s, "*"s, "*."s, ".example.com"s, "a.*.example.com"s, "a*.example.com"s, "*.*.com"s, "a.example.com."s,
        "a..example.com"s, "CN=a.example.com"s, "192.0.2.0/24"s, "a example"s, "SHA256:abc"s, "sha-256:" + hash,
        "sha-1:" + hash + ":44", "sha-1:" + hash.substr(1), "sha-1:" + hash.substr(0, 57) + "xx", "md5:" + hash}) {
    CAPTURE(name);
    CHECK_THAT(error_of_set(fmt::format("syslog.tls.permitted_peers=[\"{}\"]", name)),
               Contains("syslog.tls.permitted_peers must be a list of names in certificates"));
  }
  CHECK_THAT(error_of_set("syslog.tls.key=1"), Contains("syslog.tls.key must be the name of a file"));
}

namespace {

std::string text_of(const std::filesystem::path& file) {
  std::ifstream text{file};
  return {std::istreambuf_iterator<char>{text}, {}};
}

// The line of the sample that sets `key`, or begins its table; empty if there is none.
std::string sample_line(const std::string& key) {
  static const std::string sample = text_of(QATIME_SAMPLE_CONFIG);
  const std::size_t dot = key.rfind('.');
  const std::size_t section = sample.find("\n[" + key.substr(0, dot) + "]\n");
  if (section == std::string::npos) return {};
  const std::size_t table = sample.find("\n[[" + key + "]]", section);
  const std::size_t begin = std::min(table, sample.find("\n" + key.substr(dot + 1) + " ", section));
  if (begin == std::string::npos) return {};
  return sample.substr(begin + 1, sample.find('\n', begin + 1) - begin - 1);
}

}  // namespace

TEST_CASE("The sample configuration names every key, and marks what SIGHUP changes") {
  for (const std::string& key : config_keys()) {
    CAPTURE(key);
    const std::string line = sample_line(key);
    CHECK_FALSE(line.empty());
    CHECK(line.ends_with("  # reload") == is_reloadable(key));
  }
}

TEST_CASE("conf/README.md lists the keys that SIGHUP changes") {
  const std::string readme = text_of(std::filesystem::path{QATIME_SAMPLE_CONFIG}.parent_path() / "README.md");
  const std::size_t begin = readme.find("\n### Reload\n");
  REQUIRE(begin != std::string::npos);
  const std::string section = readme.substr(begin, readme.find("\n### ", begin + 1) - begin);
  for (const std::string& key : config_keys()) {
    CAPTURE(key);
    const bool is_listed = section.find("`" + key + "`") != std::string::npos ||
                           section.find("`" + key.substr(0, key.rfind('.')) + ".*`") != std::string::npos;
    CHECK(is_listed == is_reloadable(key));
  }
}

TEST_CASE("Another configuration is in force but for keys that need a restart") {
  Config current = load("[nfs]\nport = 1\ntimeout = \"1s\"\n[policy]\nclusters = [\"a\"]\n");
  const ConfigChanges changes =
      reconfigure(current, load("[nfs]\nport = 2\nmount_port = 0\ntimeout = \"2s\"\n[[nfs.exports]]\n"
                                "path = \"/a\"\nexport = \"/b\"\n[log]\nformat = \"json\"\n"));
  CHECK(changes.in_force == std::vector<std::string>{"policy.clusters", "nfs.timeout", "log.format"});
  CHECK(changes.at_restart == std::vector<std::string>{"nfs.port", "nfs.exports"});
  CHECK(current.nfs.port == 1);
  CHECK(current.nfs.exports == std::vector<NfsConfig::Export>{{"/", "/"}});
  CHECK(current.nfs.timeout == 2s);
  CHECK(current.policy.clusters.empty());
  CHECK(current.log.format == log::Format::json);
  const ConfigChanges none = reconfigure(current, Config{current});
  CHECK(none.in_force.empty());
  CHECK(none.at_restart.empty());
}

TEST_CASE("Every kind of value is read") {
  const Config config = load(R"(
[syslog]
listen = ["udp://127.0.0.1:5514", "tcp://[::1]:0"]
max_message = "1 MiB"
allow = ["192.0.2.0/24", "2001:db8::1"]
proxy_from = ["10.0.0.0/8", "2001:db8::2"]
rfc3164_timezone = "Europe/Berlin"
[policy]
clusters = ["big-store"]
include_paths = ["/projects/", "/"]
exclude_paths = ["/projects/scratch"]
include_users = ['AD\alice']
exclude_users = ["1000", "system"]
include_clients = ["10.0.0.0/8"]
exclude_clients = []
include_protocols = ["nfs3"]
exclude_protocols = ["api", "internal"]
self = ["192.0.2.1", "2001:db8::1"]
mode = "relatime"
threshold = "1h"
granularity = "100ns"
future_limit = "0s"
[nfs]
servers = ["node1", "node2:20049", "[2001:db8::2]:2049", "2001:db8::3"]
uid = 4294967295
max_rate = 1000000
timeout = "1500ms"
[[nfs.exports]]
path = "/data/"
export = "/"
[log]
level = "debug"
format = "json"
)");
  CHECK(config.syslog.listen[0] == SyslogConfig::Listener{SyslogConfig::Listener::Transport::udp, "127.0.0.1", 5514});
  CHECK(config.syslog.listen[1] == SyslogConfig::Listener{SyslogConfig::Listener::Transport::tcp, "::1", 0});
  CHECK(config.syslog.max_message == 1U << 20);
  CHECK(config.syslog.allow == std::vector<Network>{*parse_network("192.0.2.0/24"), *parse_network("2001:db8::1")});
  CHECK(config.syslog.proxy_from == std::vector<Network>{*parse_network("10.0.0.0/8"), *parse_network("2001:db8::2")});
  CHECK(config.syslog.rfc3164_timezone.name() == "Europe/Berlin");
  CHECK(config.policy.clusters == std::vector<std::string>{"big-store"});
  CHECK(config.policy.include_paths == std::vector<std::string>{"/projects", "/"});
  CHECK(config.policy.exclude_paths == std::vector<std::string>{"/projects/scratch"});
  CHECK(config.policy.include_users == std::vector<std::string>{"AD\\alice"});
  CHECK(config.policy.exclude_users == std::vector<std::string>{"1000", "system"});
  CHECK(config.policy.include_clients == std::vector<Network>{*parse_network("10.0.0.0/8")});
  CHECK(config.policy.exclude_clients.empty());
  CHECK(config.policy.include_protocols == std::vector<std::string>{"nfs3"});
  CHECK(config.policy.exclude_protocols == std::vector<std::string>{"api", "internal"});
  CHECK(config.policy.self.size() == 2);
  CHECK(config.policy.mode == PolicyConfig::Mode::relatime);
  CHECK(config.policy.threshold == 1h);
  CHECK(config.policy.granularity == 100ns);
  CHECK(config.policy.future_limit == 0s);
  CHECK(config.nfs.servers ==
        std::vector<NfsConfig::Server>{{"node1", 0}, {"node2", 20049}, {"2001:db8::2", 2049}, {"2001:db8::3", 0}});
  CHECK(config.nfs.uid == 4294967295U);
  CHECK(config.nfs.max_rate == 1'000'000);
  CHECK(config.nfs.timeout == 1500ms);
  CHECK(config.nfs.exports == std::vector<NfsConfig::Export>{{"/data", "/"}});
  CHECK(config.log.level == log::Level::debug);
  CHECK(config.log.format == log::Format::json);
}

TEST_CASE("An unknown key is named with its place and the nearest known one") {
  const std::string error = error_in("[nfs]\nmax_inflight = 3\n");
  CHECK_THAT(error, Contains(":2:1: nfs.max_inflight is no key of qatime; the nearest is nfs.max_in_flight"));
  CHECK_THAT(error_in("[nsf]\nport = 3\n"), Contains("nsf is no key"));
  CHECK_THAT(error_in("port = 3\n"), Contains(":1:1: port is no key"));
}

TEST_CASE("A wrong value is named with its place, its key and what is allowed") {
  CHECK_THAT(error_in("[nfs]\nport = 65536\n"), Contains(":2:8: nfs.port must be a port, or 0"));
  CHECK_THAT(error_in("[nfs]\nport = \"2049\"\n"), Contains("nfs.port must be a port"));
  CHECK_THAT(error_in("[syslog]\nlisten = [\n \"tcp://127.0.0.1:1\",\n \"tcp://localhost:1\"]\n"),
             Contains(":4:2: syslog.listen"));
  CHECK_THAT(error_in("[syslog]\nlisten = []\n"), Contains("syslog.listen must be a list"));
  CHECK_THAT(error_in("[syslog]\nmax_message = 4096\n"), Contains("syslog.max_message must be a size"));
  CHECK_THAT(error_in("[policy]\nfuture_limit = \"24\"\n"), Contains("policy.future_limit must be a duration"));
  CHECK_THAT(error_in("[policy]\nmode = \"noatime\"\n"),
             Contains(":2:8: policy.mode must be \"strict\" or \"relatime\""));
  CHECK_THAT(error_in("[policy]\nmode = 1\n"), Contains("policy.mode must be"));
  CHECK_THAT(error_in("[policy]\nthreshold = \"-1s\"\n"), Contains("policy.threshold must be a duration"));
  CHECK_THAT(error_in("[policy]\ngranularity = 1\n"), Contains("policy.granularity must be a duration"));
  CHECK_THAT(error_in("[backlog]\ndirectory = \"state\"\n"), Contains(":2:13: backlog.directory must be the absolute"));
  CHECK_THAT(error_in("[backlog]\nkind = \"disk\"\n"), Contains("backlog.kind must be \"local\" or \"redis\""));
  CHECK_THAT(error_in("[redis]\nprefix = \"a{b\"\n"), Contains("redis.prefix must be up to 64 letters"));
  CHECK_THAT(error_in("[redis]\nshards = 0\n"), Contains("redis.shards must be a number from 1 to 1024"));
  CHECK_THAT(error_in("[backlog]\nkind = \"redis\"\n[redis]\nlease = \"19s\"\n"),
             Contains(":4:9: redis.lease must be at least twice nfs.timeout"));
  CHECK_THAT(error_in("[backlog]\ncommit = \"9ms\"\n"), Contains("backlog.commit must be a duration from \"10ms\""));
  CHECK_THAT(error_in("[backlog]\ndisk = \"15 MiB\"\n"), Contains("backlog.disk must be a size from \"16 MiB\""));
  CHECK_THAT(error_in("[policy]\nself = [\"10.0.0.0/8\"]\n"), Contains("policy.self must be"));
  CHECK_THAT(error_in("[syslog]\nproxy_from = [\"balancer.example\"]\n"),
             Contains(":2:15: syslog.proxy_from must be a list of networks"));
  CHECK_THAT(error_in("[syslog]\nallow = [\"10.0.0.0/8\", \"10.0.0.0/33\"]\n"),
             Contains(":2:24: syslog.allow must be a list of networks"));
  CHECK_THAT(error_in("[syslog]\nrfc3164_timezone = \"Europe/Berlim\"\n"),
             Contains(":2:20: syslog.rfc3164_timezone must be \"UTC\" or an IANA name"));
  CHECK_THAT(error_in("[policy]\nexclude_clients = [\"host\"]\n"), Contains("policy.exclude_clients must be"));
  CHECK_THAT(error_in("[policy]\ninclude_paths = [\"projects\"]\n"), Contains("policy.include_paths must be"));
  CHECK_THAT(error_in("[policy]\nexclude_paths = \"/a\"\n"), Contains("policy.exclude_paths must be"));
  CHECK_THAT(error_in("[policy]\ninclude_users = [1000]\n"), Contains("policy.include_users must be"));
  CHECK_THAT(error_in("[policy]\nclusters = [\"\"]\n"), Contains("policy.clusters must be"));
  CHECK_THAT(error_in("[nfs]\nmax_rate = -1\n"), Contains(":2:12: nfs.max_rate must be a number of updates"));
  CHECK_THAT(error_in("[nfs]\nmax_rate = 1000001\n"), Contains("nfs.max_rate must be"));
  CHECK_THAT(error_in("[nfs]\nservers = [\"a b\"]\n"), Contains("nfs.servers must be"));
  CHECK_THAT(error_in("[log]\nlevel = \"warn\"\n"), Contains("log.level must be one of"));
  CHECK_THAT(error_in("[log]\nformat = \"xml\"\n"), Contains(":2:10: log.format must be \"text\" or \"json\""));
  CHECK_THAT(error_in("[[nfs.exports]]\npath = \"/a\"\nexprot = \"/\"\n"), Contains("nfs.exports must be"));
  CHECK_THAT(error_in("[[nfs.exports]]\npath = \"/a\"\nexport = \"b\"\n"), Contains("nfs.exports must be"));
  CHECK_THAT(error_in("[[nfs.exports]]\npath = \"a\"\nexport = \"/\"\n"), Contains("nfs.exports must be"));
  CHECK_THAT(error_in("[[nfs.exports]]\npath = \"/a\"\nexport = \"/b\\u0000\"\n"), Contains("nfs.exports must be"));
  CHECK_THAT(
      error_in("[[nfs.exports]]\npath = \"/a\"\nexport = \"/\"\n[[nfs.exports]]\npath = \"/a/\"\nexport = \"/b\"\n"),
      Contains("no two the same"));
  CHECK_THAT(error_in("nfs = 3\n"), Contains("nfs is no key"));
}

namespace {

void check_refused(std::string_view key, std::string_view wrong) {
  const std::string error = error_of_set(fmt::format("{}={}", key, wrong));
  CAPTURE(key, wrong);
  CHECK_THAT(error, Contains(fmt::format(": {} must be ", key)));
  CHECK(error.find('\n') == std::string::npos);
}

}  // namespace

TEST_CASE("An odd number is refused for every key that takes one") {
  for (const char* const key :
       {"syslog.max_connections", "redis.shards", "redis.wait_replicas", "nfs.port", "nfs.mount_port", "nfs.uid",
        "nfs.gid", "nfs.connections", "nfs.max_in_flight", "nfs.max_rate", "nfs.handle_cache"}) {
    for (const char* const wrong : {"-1", "4294967296", "9223372036854775807", "9223372036854775808", "1e3", "1.0",
                                    "nan", "-inf", "0x", "\"1\"", "true", "[1]"}) {
      check_refused(key, wrong);
    }
  }
  for (const char* const key :
       {"syslog.max_connections", "redis.shards", "nfs.connections", "nfs.max_in_flight", "nfs.handle_cache"}) {
    check_refused(key, "0");
  }
  for (const char* const key : {"nfs.port", "nfs.mount_port"}) check_refused(key, "65536");
}

TEST_CASE("An odd size is refused for every key that takes one") {
  for (const char* const key : {"syslog.max_message", "syslog.udp_receive_buffer", "backlog.memory", "backlog.disk"}) {
    for (const char* const wrong :
         {"-1 MiB", "+1 MiB", "0 B", "1 B", "99999999999999 GiB", "18446744073709551616 B", "2 TiB", "nan", "1e3",
          "1e3 MiB", "1.5 GiB", "0x10 MiB", "64", "67108864", "\"\"", "\" 64 MiB\"", "\"64 MiB \""}) {
      check_refused(key, wrong);
    }
  }
}

TEST_CASE("An odd duration is refused for every key that takes one") {
  for (const char* const key : {"policy.threshold", "policy.granularity", "policy.future_limit", "backlog.commit",
                                "redis.lease", "nfs.timeout", "nfs.handle_ttl"}) {
    for (const char* const wrong : {"-1s", "+1s", "99999999999999d", "18446744073709551616ns", "nan", "1e3", "1e3s",
                                    "1.5s", "0x1s", "5", "1", "\"\"", "\" 5s\"", "\"5s \""}) {
      check_refused(key, wrong);
    }
  }
  for (const char* const key : {"backlog.commit", "redis.lease", "nfs.timeout"}) check_refused(key, "0s");
  for (const char* const key : {"backlog.commit", "redis.lease", "nfs.timeout", "nfs.handle_ttl"}) {
    check_refused(key, "106751d");
  }
}

TEST_CASE("An odd port is refused wherever a key takes one") {
  constexpr std::array kPlaces{
      std::pair{"syslog.listen", "[\"tcp://127.0.0.1:{}\"]"},
      std::pair{"syslog.listen", "[\"udp://[::1]:{}\"]"},
      std::pair{"admin.listen", "\"127.0.0.1:{}\""},
      std::pair{"nfs.servers", "[\"node:{}\"]"},
      std::pair{"nfs.servers", "[\"[::1]:{}\"]"},
      std::pair{"redis.sentinels", "[\"node:{}\"]"},
      std::pair{"redis.url", "\"redis://node:{}\""},
      std::pair{"redis.url", "\"rediss://node:{}/1\""},
      std::pair{"redis.url", "\"redis://node:1/{}\""},
  };
  for (const auto& [key, form] : kPlaces) {
    for (const char* const wrong :
         {"65536", "4294967297", "18446744073709551617", "-1", "+1", "0x50", "1e3", " 80", "80 ", "http", "nan"}) {
      check_refused(key, fmt::format(fmt::runtime(form), wrong));
    }
  }
  for (const char* const wrong :
       {"nfs.servers=[\"node:0\"]", "redis.sentinels=[\"node:0\"]", "redis.url=redis://node:0"}) {
    CHECK_THAT(error_of_set(wrong), Contains(" must be "));
  }
}

TEST_CASE("An address with a NUL behind it is refused wherever a key takes one") {
  for (const char* const wrong :
       {R"(syslog.listen=["tcp://127.0.0.1\u0000:1514"])", R"(admin.listen="127.0.0.1\u0000:9514")",
        R"(policy.self=["127.0.0.1\u0000"])", R"(nfs.servers=["127.0.0.1\u0000"])",
        R"(nfs.servers=["node\u0000x:2049"])", R"(redis.url="redis://127.0.0.1\u0000")",
        R"(syslog.tls.permitted_peers=["192.0.2.7\u0000"])"}) {
    CAPTURE(wrong);
    CHECK_THAT(error_of_set(wrong), Contains(" must be "));
  }
}

TEST_CASE("There are connections for all requests that may be in flight") {
  CHECK_THAT(error_in("[nfs]\nmax_in_flight = 501\n"),
             Contains(":2:17: nfs.max_in_flight must be at most 500 x nfs.connections, here 500"));
  CHECK_THAT(error_of_set("nfs.max_in_flight=501"),
             Contains("--set nfs.max_in_flight=501: nfs.max_in_flight must be at"));
  CHECK_THAT(error_in("[nfs]\nconnections = 2\nmax_in_flight = 1001\n"), Contains("here 1000"));
  CHECK(load("[nfs]\nmax_in_flight = 500\n").nfs.max_in_flight == 500);
  CHECK(load("[nfs]\nmax_in_flight = 1000\nconnections = 2\n").nfs.max_in_flight == 1000);
}

TEST_CASE("Text that is no TOML is named with its place") {
  CHECK_THAT(error_in("[nfs]\nport = = 3\n"), Contains(":2:"));
}

TEST_CASE("A file that was named must exist") {
  CHECK_THAT(error_of([] { (void)load_config("/nonexistent/qatime.toml", {}); }), Contains("/nonexistent/qatime.toml"));
}

TEST_CASE("A setting takes TOML or a bare word, and replaces what the file says") {
  const TemporaryFile file{"[nfs]\nservers = [\"a\", \"b\"]\nport = 1\n"};
  const std::vector<std::string> settings{"nfs.servers=[\"c\"]", "log.level=error", "policy.future_limit=0s",
                                          "nfs.exports=[{path=\"/x\", export=\"/y\"}]", "syslog.max_message=2 KiB"};
  const Config config = load_config(file.path(), settings);
  CHECK(config.nfs.servers == std::vector<NfsConfig::Server>{{"c", 0}});
  CHECK(config.nfs.port == 1);
  CHECK(config.log.level == log::Level::error);
  CHECK(config.policy.future_limit == 0s);
  CHECK(config.nfs.exports == std::vector<NfsConfig::Export>{{"/x", "/y"}});
  CHECK(config.syslog.max_message == 2048);
}

TEST_CASE("A wrong setting is named as it was given") {
  CHECK_THAT(error_of_set("nfs.port"), Contains("--set nfs.port: must be key=value"));
  CHECK_THAT(error_of_set("nfs.prot=1"),
             Contains("--set nfs.prot=1: nfs.prot is no key of qatime; the nearest is nfs.port"));
  CHECK_THAT(error_of_set("nfs.port=high"), Contains("nfs.port must be"));
  CHECK_THAT(error_of_set("nfs.servers=[1"), Contains("--set nfs.servers=[1"));
  CHECK_THAT(error_of_set("=1"), Contains("must be key=value"));
}

TEST_CASE("A password in a setting is not shown") {
  const auto shown = [](const char* url) { return error_of_set(fmt::format("nfs.prot={}", url)).substr(0, 42); };
  CHECK_THAT(shown("redis://:a@b@host:1/0"), StartsWith("--set nfs.prot=redis://***@host:1/0: "));
  CHECK_THAT(shown("redis://user@host:1/0"), StartsWith("--set nfs.prot=redis://***@host:1/0: "));
  CHECK_THAT(shown("redis://host:1/0"), StartsWith("--set nfs.prot=redis://host:1/0: "));
}

TEST_CASE("A number is of digits alone and has its bounds") {
  CHECK(parse_number("1", 1, 65'535) == 1U);
  CHECK(parse_number("65535", 1, 65'535) == 65'535U);
  CHECK(parse_number("18446744073709551615", 0, std::numeric_limits<std::uint64_t>::max()) == ~std::uint64_t{0});
  for (const char* const wrong : {"", "0", "65536", "-1", "+1", " 1", "1 ", "0x10", "1e3", "1.0", "nan", "http",
                                  "4294967297", "18446744073709551617"}) {
    CAPTURE(wrong);
    CHECK_FALSE(parse_number(wrong, 1, 65'535));
  }
}

TEST_CASE("Durations and sizes have units") {
  CHECK(parse_duration("100ms") == 100ms);
  CHECK(parse_duration("24h") == 24h);
  CHECK(parse_duration("1d") == 24h);
  CHECK(parse_duration("0s") == 0s);
  CHECK_FALSE(parse_duration("10"));
  CHECK_FALSE(parse_duration("-1s"));
  CHECK_FALSE(parse_duration("1.5s"));
  CHECK_FALSE(parse_duration("s"));
  CHECK_FALSE(parse_duration("200000000d"));
  CHECK(parse_size("256 KiB") == 262144U);
  CHECK(parse_size("8GiB") == 8ULL << 30);
  CHECK_FALSE(parse_size("1 KB"));
  CHECK_FALSE(parse_size("1  KiB"));
  CHECK_FALSE(parse_size("99999999999 TiB"));
}

TEST_CASE("The address of Redis is a URL without a password") {
  const auto url_of = [](const std::string& text) { return set({"redis.url=\"" + text + "\""}).redis.url; };
  using Url = RedisConfig::Url;
  CHECK(url_of("redis://redis.example.com") == Url{{"redis.example.com", 6379}, 0, false});
  CHECK(url_of("redis://redis.example.com/") == Url{{"redis.example.com", 6379}, 0, false});
  CHECK(url_of("redis://192.0.2.1:6380/3") == Url{{"192.0.2.1", 6380}, 3, false});
  CHECK(url_of("rediss://[2001:db8::1]:6381") == Url{{"2001:db8::1", 6381}, 0, true});
  for (const char* wrong :
       {"redis.example.com", "http://a", "redis://", "redis://a:b@c", "redis://a:0", "redis://a:70000", "redis://a/x",
        "redis://a/0/1", "redis:///0", "redis://::1", "redis://2001:db8::1:6379"}) {
    CAPTURE(wrong);
    CHECK_THROWS_AS(url_of(wrong), ConfigError);
  }
}

}  // namespace qatime::config_test
