// SPDX-License-Identifier: MIT
#include <array>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <fstream>
#include <functional>
#include <iostream>
#include <memory>
#include <optional>
#include <string_view>
#include <thread>

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/write.hpp>
#include <fmt/core.h>

#include "base/loop.h"
#include "base/url.h"
#include "commands/commands.h"
#include "config/units.h"

namespace qatime::commands {
namespace {

namespace asio = boost::asio;

// Where records go: one message at a time, without its frame.
class Destination {
 public:
  virtual ~Destination() = default;
  virtual void send(std::string_view message) = 0;
  virtual void finish() = 0;
};

// Messages end with LF (RFC 6587 section 3.4.2), and go out together in large writes.
class TcpDestination final : public Destination {
 public:
  // `at_once`: a message waits for no other.
  TcpDestination(const std::string& host, const std::string& port, bool at_once) : write_size_{at_once ? 1 : kWrite} {
    asio::connect(socket_, loop::TcpResolver{io_}.resolve(host, port));
  }

  void send(std::string_view message) override {
    buffer_.append(message).push_back('\n');
    if (buffer_.size() >= write_size_) flush();
  }

  void finish() override {
    flush();
    socket_.shutdown(loop::TcpSocket::shutdown_send);
    // The receiver closes once it has read all.
    std::array<char, 64> rest{};
    boost::system::error_code closed;
    while (!closed) socket_.read_some(asio::buffer(rest), closed);
  }

 private:
  void flush() {
    asio::write(socket_, asio::buffer(buffer_));
    buffer_.clear();
  }

  static constexpr std::size_t kWrite = 64 << 10;

  std::size_t write_size_;
  asio::io_context io_;
  loop::TcpSocket socket_{io_};
  std::string buffer_;
};

// One datagram is one message (RFC 5426 section 3.1).
class UdpDestination final : public Destination {
 public:
  UdpDestination(const std::string& host, const std::string& port) {
    asio::connect(socket_, loop::UdpResolver{io_}.resolve(host, port));
  }

  void send(std::string_view message) override { socket_.send(asio::buffer(message)); }
  void finish() override {}

 private:
  asio::io_context io_;
  loop::UdpSocket socket_{io_};
};

std::unique_ptr<Destination> connect(const std::string& to, bool at_once) {
  const auto url = parse_url(to);
  const auto port = url ? url->server.port.value_or(0) : 0;
  if (!url || (url->scheme != "tcp" && url->scheme != "udp") || !url->path.empty() || port == 0) {
    throw UsageError{"--to must be tcp://HOST:PORT or udp://HOST:PORT, with a port from 1 to 65535"};
  }
  const std::string& host = url->server.host;
  try {
    if (url->scheme == "tcp") return std::make_unique<TcpDestination>(host, std::to_string(port), at_once);
    return std::make_unique<UdpDestination>(host, std::to_string(port));
  } catch (const boost::system::system_error& error) {
    throw std::runtime_error{fmt::format("{}: {}", to, error.code().message())};
  }
}

// 0 is as fast as possible.
double parse_rate(const std::string& text) {
  constexpr double kLeast = 0.001;
  constexpr double kMost = 1e9;
  const char* const text_end = text.data() + text.size();
  double rate = 0;
  const auto [end, error] = std::from_chars(text.data(), text_end, rate);
  const bool is_allowed = rate == 0 || (rate >= kLeast && rate <= kMost);  // which no NaN is
  if (error == std::errc{} && end == text_end && is_allowed) return rate;
  throw UsageError{"--rate must be a number of records per second from 0.001 to 1000000000, or 0 for no limit"};
}

// Nothing is one for each path or line.
std::optional<std::uint64_t> parse_count(const std::optional<std::string>& text) {
  if (!text) return std::nullopt;
  const auto count = parse_number(*text, 1, 1'000'000'000'000);
  if (!count) throw UsageError{"--count must be a number of records from 1 to 1000000000000"};
  return count;
}

// Lets `rate` calls a second through.
class SendRate {
 public:
  explicit SendRate(double rate) : rate_{rate} {}

  void wait() {
    if (rate_ <= 0) return;
    const std::chrono::duration<double> due{static_cast<double>(count_++) / rate_};
    std::this_thread::sleep_until(start_ + std::chrono::duration_cast<std::chrono::steady_clock::duration>(due));
  }

 private:
  double rate_;
  std::uint64_t count_ = 0;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

std::string in_quotes(std::string_view text) {
  std::string result{'"'};
  for (const char c : text) {
    if (c == '"') result += '"';
    result += c;
  }
  return result + '"';
}

// As a cluster sends it (RFC 5424 with a CSV body), from a client whose address nobody has (RFC 5737).
std::string make_record(const SendOptions& options, const std::string& path) {
  return fmt::format("<14>1 {} qatime-1 qumulo - - - 192.0.2.1,\"qatime\",nfs3,{},ok,,{},\"\"",
                     format_rfc3339(parse_time_option("--time", options.time, now())), options.operation,
                     in_quotes(path));
}

using SendMessage = std::function<void(std::string_view)>;

std::uint64_t send_made(const SendOptions& options, std::optional<std::uint64_t> most, const SendMessage& send) {
  for (const std::string& path : options.paths) {
    if (path.find_first_of("\r\n") != std::string::npos) {
      throw UsageError{fmt::format("{}: an audit record has no line breaks", log::escaped(path))};
    }
  }
  const std::uint64_t count = most.value_or(options.paths.size());
  for (std::uint64_t i = 0; i < count; ++i) send(make_record(options, options.paths[i % options.paths.size()]));
  return count;
}

std::uint64_t send_recorded(const SendOptions& options, std::optional<std::uint64_t> most, const SendMessage& send) {
  std::ifstream file;
  if (options.file != "-") {
    file.open(options.file, std::ios::binary);
    if (!file) throw UsageError{fmt::format("{}: cannot be read", options.file)};
  }
  std::istream& lines = options.file == "-" ? std::cin : file;
  std::uint64_t count = 0;
  for (std::string line; (!most || count < *most) && std::getline(lines, line); ++count) send(line);
  if (lines.bad()) throw std::runtime_error{fmt::format("{}: cannot be read to its end", options.file)};
  return count;
}

}  // namespace

int send(const SendOptions& options) {
  if (options.paths.empty() == options.file.empty()) throw UsageError{"send takes paths or --file, one of them"};
  const double rate = parse_rate(options.rate);
  const auto most = parse_count(options.count);
  (void)parse_time_option("--time", options.time, now());
  const auto destination = connect(options.to, rate > 0);
  SendRate send_rate{rate};
  const auto paced = [&](std::string_view message) {
    send_rate.wait();
    destination->send(message);
  };
  try {
    const auto count = options.file.empty() ? send_made(options, most, paced) : send_recorded(options, most, paced);
    destination->finish();
    fmt::print("{} records sent to {}\n", count, options.to);
  } catch (const boost::system::system_error& error) {
    throw std::runtime_error{fmt::format("{}: {}", options.to, error.code().message())};
  }
  return 0;
}

}  // namespace qatime::commands
