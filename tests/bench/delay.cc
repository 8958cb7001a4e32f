// SPDX-License-Identifier: MIT
// A longer way to a server on this machine.
//
//   delay PORT SERVER_PORT MICROSECONDS
//
// Listens on PORT of 127.0.0.1 until it is killed, and passes each connection on to SERVER_PORT. A byte needs half of
// MICROSECONDS in each direction, whatever else is on its way: bandwidth has no limit.

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <deque>
#include <iostream>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>

namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using Clock = std::chrono::steady_clock;

// One direction of a connection. The other keeps both sockets, too.
class Way : public std::enable_shared_from_this<Way> {
 public:
  Way(std::shared_ptr<tcp::socket> from, std::shared_ptr<tcp::socket> to, Clock::duration delay)
      : from_{std::move(from)}, to_{std::move(to)}, delay_{delay}, timer_{to_->get_executor()} {}

  void read() {
    from_->async_read_some(asio::buffer(buffer_), [self = shared_from_this()](const auto& error, std::size_t size) {
      if (error) return self->close();
      self->parcels_.push_back({Clock::now() + self->delay_, std::string{self->buffer_.data(), size}});
      if (self->parcels_.size() == 1) self->wait();
      self->read();
    });
  }

 private:
  struct Parcel {
    Clock::time_point due;
    std::string bytes;
  };

  void wait() {
    timer_.expires_at(parcels_.front().due);
    timer_.async_wait([self = shared_from_this()](const auto& error) {
      if (!error) self->write();
    });
  }

  void write() {
    asio::async_write(*to_, asio::buffer(parcels_.front().bytes),
                      [self = shared_from_this()](const auto& error, std::size_t) {
                        if (error) return self->close();
                        self->parcels_.pop_front();
                        if (!self->parcels_.empty()) self->wait();
                      });
  }

  void close() {
    boost::system::error_code ignored;
    from_->close(ignored);
    to_->close(ignored);
  }

  std::shared_ptr<tcp::socket> from_, to_;
  Clock::duration delay_;
  asio::steady_timer timer_;
  std::deque<Parcel> parcels_;  // in the order in which they are due
  std::array<char, 1 << 16> buffer_{};
};

class Proxy {
 public:
  Proxy(asio::io_context& io, unsigned short port, unsigned short server_port, Clock::duration delay)
      : acceptor_{io, {asio::ip::address_v4::loopback(), port}},
        server_{asio::ip::address_v4::loopback(), server_port},
        delay_{delay} {
    accept();
  }

 private:
  void accept() {
    acceptor_.async_accept([this](const auto& error, tcp::socket accepted) {
      if (error) throw std::runtime_error{"accept: " + error.message()};
      auto client = std::make_shared<tcp::socket>(std::move(accepted));
      auto server = std::make_shared<tcp::socket>(acceptor_.get_executor());
      server->connect(server_);
      client->set_option(tcp::no_delay{true});
      server->set_option(tcp::no_delay{true});
      std::make_shared<Way>(client, server, delay_)->read();
      std::make_shared<Way>(server, client, delay_)->read();
      accept();
    });
  }

  tcp::acceptor acceptor_;
  tcp::endpoint server_;
  Clock::duration delay_;
};

}  // namespace

int main(int argc, char** argv) {
  try {
    const std::span arguments(argv, static_cast<std::size_t>(argc));
    if (argc != 4) throw std::runtime_error{"usage: delay PORT SERVER_PORT MICROSECONDS"};
    const auto port = [&](std::size_t at) { return static_cast<unsigned short>(std::stoi(arguments[at])); };
    asio::io_context io{1};
    const Proxy proxy{io, port(1), port(2), std::chrono::microseconds{std::stoi(arguments[3])} / 2};
    io.run();
    return EXIT_SUCCESS;
  } catch (const std::exception& error) {
    std::cerr << "delay: " << error.what() << '\n';
    return EXIT_FAILURE;
  }
}
