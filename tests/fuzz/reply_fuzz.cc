// SPDX-License-Identifier: MIT
// Replies of servers: what find_fault() has no fault with is let through as it is, whatever its fragments, and nothing
// else is. libnfs decodes it, in a connection as the daemon has, and that connection goes on.
//
// The mutations know that a reply is made of words, and begin with sound ones over and over.
#include <algorithm>
#include <array>
#include <iterator>
#include <memory>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <vector>

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>

#include "base/log.h"
#include "config/config.h"
#include "nfs/procedures.h"
#include "nfs/reply/checker.h"
#include "nfs/reply/gate.h"
#include "nfs/rpc.h"
#include "nfs/sound_results.h"
#include "nfs/xdr.h"
#include "target.h"
#include "telemetry/metrics.h"

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t most);

namespace {

using namespace qatime;
using boost::asio::ip::tcp;
using fuzz::require;
using nfs::find_fault;
using nfs::RemoteProcedure;
using nfs::Rpc;
using nfs::Status;
using nfs::testing::XdrReader;
using nfs::testing::XdrWriter;

constexpr std::uint32_t kLast = 0x80000000;
constexpr auto kProcedures = static_cast<unsigned>(RemoteProcedure::other);

// ---- mutations; an input is a message without its xid, and a byte that says of which procedure

std::vector<std::string> samples() {
  std::vector<std::string> all;
  for (const auto& [procedure, results] : nfs::testing::sound_results()) {
    const char choice = static_cast<char>(procedure);
    for (const std::string& each : results) {
      all.push_back(XdrWriter{}.word(1).word(0).word(0).word(0).word(0).raw(each).bytes() + choice);
      all.push_back(XdrWriter{}.word(1).word(0).word(6).opaque("verifier").word(0).raw(each).bytes() + choice);
    }
    all.push_back(XdrWriter{}.word(1).word(1).word(1).word(5).bytes() + choice);             // denied
    all.push_back(XdrWriter{}.word(1).word(0).hyper(0).word(2).hyper(0).bytes() + choice);   // of another version
    all.push_back(XdrWriter{}.word(0).word(2).hyper(3).hyper(0).hyper(0).bytes() + choice);  // a call
  }
  return all;
}

std::uint32_t any_word(std::minstd_rand& random) {
  constexpr std::array<std::uint32_t, 16> kWords{
      0, 1, 2, 3, 5, 64, 65, 400, 401, 0x10000, 0x3fffffff, 0x40000001, 0x7fffffff, 0x80000000, 0xffffffdc, 0xffffffff};
  return random() % 4 == 0 ? static_cast<std::uint32_t>(random()) : kWords.at(random() % kWords.size());
}

// Words of `message` become others, go, or come twice.
void change_words(std::string& message, std::minstd_rand& random) {
  const std::size_t words = (message.size() - 1) / 4;
  const std::size_t at = 4 * (random() % (words + 1));
  const std::size_t size = std::min<std::size_t>(4 * (1 + random() % 16), message.size() - 1 - at);
  switch (random() % 3) {
    case 0:
      message.replace(at, std::min<std::size_t>(4, size), XdrWriter{}.word(any_word(random)).bytes());
      break;
    case 1:
      message.erase(at, size);
      break;
    default:
      message.insert(at, message.substr(at, size));
  }
}

// ---- a connection as the daemon has, and the server's end of it

class Wire {
 public:
  Wire() : context_{io_, config(), registry_} {
    tcp::acceptor acceptor{io_, tcp::endpoint{boost::asio::ip::address_v4::loopback(), 0}};
    bool open = false;
    rpc_ = std::make_unique<Rpc>(
        context_, acceptor.local_endpoint(), [&] { open = true; },
        [](const std::string& why) { require(false, why.c_str()); });
    acceptor.accept(server_);
    server_.set_option(tcp::no_delay{true});
    while (!open) io_.run_one();
  }

  // Calls the procedure and answers `message` behind its xid.
  void answer(RemoteProcedure procedure, std::string_view message) {
    is_over_ = false;
    call(procedure);
    io_.poll();
    std::array<char, 4> mark{};
    boost::asio::read(server_, boost::asio::buffer(mark));
    std::string request(XdrReader{{mark.data(), mark.size()}}.word() & ~kLast, '\0');
    boost::asio::read(server_, boost::asio::buffer(request));
    const std::uint32_t size = static_cast<std::uint32_t>(4 + message.size());
    const std::string record = XdrWriter{}.word(kLast | size).raw(request.substr(0, 4)).raw(message).bytes();
    boost::asio::write(server_, boost::asio::buffer(record));
    while (!is_over_) io_.run_one();
  }

 private:
  static NfsConfig config() {
    NfsConfig config;
    config.timeout = std::chrono::hours{24};
    return config;
  }

  void call(RemoteProcedure procedure) {
    const auto done = [this](Status status, const auto&) {
      require(status != Status::lost && status != Status::timeout, "a sound reply completes its request");
      is_over_ = true;
    };
    const nfs::Handle handle{std::string_view{"h"}};
    switch (procedure) {
      case RemoteProcedure::null:
        return nfs::procedures::null(*rpc_, done);
      case RemoteProcedure::getport:
        return nfs::procedures::getport(*rpc_, 100003, 3, done);
      case RemoteProcedure::mnt:
        return nfs::procedures::mnt(*rpc_, "/", done);
      case RemoteProcedure::getattr:
        return nfs::procedures::getattr(*rpc_, handle, done);
      case RemoteProcedure::setattr:
        return nfs::procedures::set_atime(*rpc_, handle, Time{}, std::nullopt, done);
      case RemoteProcedure::lookup:
        return nfs::procedures::lookup(*rpc_, handle, "name", done);
      default:
        return nfs::procedures::readdirplus(*rpc_, handle, {}, 32 << 10, done);
    }
  }

  boost::asio::io_context io_{1};
  metrics::Registry registry_;
  nfs::ClientContext context_;
  tcp::socket server_{io_};
  std::unique_ptr<Rpc> rpc_;
  bool is_over_ = false;
};

// ---- properties

// The bytes that a gate lets through of a message in so many fragments.
std::string let_through(RemoteProcedure procedure, std::string_view message, std::size_t fragments) {
  nfs::ReplyGate gate;
  gate.calls().add(XdrReader{message}.word(), procedure);
  const std::size_t each = std::max<std::size_t>(4, message.size() / fragments);
  std::string bytes;
  for (std::size_t at = 0; at < message.size(); at += each) {
    const std::string_view part = message.substr(at, each);
    const bool is_last = at + each >= message.size();
    bytes += XdrWriter{}.word((is_last ? kLast : 0) | static_cast<std::uint32_t>(part.size())).raw(part).bytes();
  }
  const auto room = gate.room();
  std::copy(bytes.begin(), bytes.end(), room.begin());
  gate.came(bytes.size());
  std::string through(bytes.size(), '\0');
  through.resize(gate.take(through.data(), through.size()));
  require(through.empty() != gate.refusal().empty(), "a whole message is let through, or refused");
  return through;
}

}  // namespace

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t most, unsigned seed) {
  static const std::vector<std::string> kSamples = samples();
  std::minstd_rand random{seed};
  const unsigned how = static_cast<unsigned>(random() % 8);
  if (how < 2 && size > 0) return LLVMFuzzerMutate(data, size, most);
  std::string input{reinterpret_cast<const char*>(data), size};
  if (how < 4 || size < 5) input = kSamples.at(random() % kSamples.size());
  for (auto count = random() % 4; count > 0; --count) change_words(input, random);
  if (input.size() > most) input.erase(0, input.size() - most);
  std::copy(input.begin(), input.end(), data);
  return input.size();
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const fuzz::Input input{data, size};
  static Wire wire;
  const auto procedure = static_cast<RemoteProcedure>(input.choice() % kProcedures);
  const std::string message = XdrWriter{}.word(0x12345678).raw(input.text()).bytes();
  const bool is_sound = find_fault(procedure, message) == nullptr;
  const std::string through = let_through(procedure, message, 1 + input.choice() / kProcedures % 4);
  const std::string whole = XdrWriter{}.word(kLast | static_cast<std::uint32_t>(message.size())).raw(message).bytes();
  require(through == (is_sound ? whole : ""), "what is sound is let through, as one fragment");
  if (is_sound) wire.answer(procedure, input.text());
  return 0;
}
