// SPDX-License-Identifier: MIT
// Timers, sockets, descriptors and signals of an io_context. Asio's own names for them take any executor. Each source
// that uses those takes seconds longer to compile, and each completion makes virtual calls.
#pragma once

#include <chrono>

#include <boost/asio/basic_datagram_socket.hpp>
#include <boost/asio/basic_signal_set.hpp>
#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>

namespace qatime::loop {

using Executor = boost::asio::io_context::executor_type;
using Timer = boost::asio::basic_waitable_timer<std::chrono::steady_clock,
                                                boost::asio::wait_traits<std::chrono::steady_clock>, Executor>;
using TcpAcceptor = boost::asio::basic_socket_acceptor<boost::asio::ip::tcp, Executor>;
using TcpSocket = boost::asio::basic_stream_socket<boost::asio::ip::tcp, Executor>;
using TcpResolver = boost::asio::ip::basic_resolver<boost::asio::ip::tcp, Executor>;
using UdpSocket = boost::asio::basic_datagram_socket<boost::asio::ip::udp, Executor>;
using UdpResolver = boost::asio::ip::basic_resolver<boost::asio::ip::udp, Executor>;
using Descriptor = boost::asio::posix::basic_stream_descriptor<Executor>;
using SignalSet = boost::asio::basic_signal_set<Executor>;

}  // namespace qatime::loop
