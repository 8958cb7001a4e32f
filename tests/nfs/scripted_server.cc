// SPDX-License-Identifier: MIT
//
// All state lives on the server's thread; the public calls run there and wait.
#include "nfs/scripted_server.h"

#include <algorithm>
#include <array>
#include <deque>
#include <future>
#include <limits>
#include <list>
#include <map>
#include <optional>
#include <random>
#include <thread>
#include <utility>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>

#include "nfs/memory_tree.h"
#include "nfs/messages.h"
#include "nfs/service.h"
#include "nfs/xdr.h"

namespace qatime::nfs::testing {

namespace {

namespace asio = boost::asio;
using tcp = asio::ip::tcp;
using boost::system::error_code;

}  // namespace

class ScriptedServer::Server {
 public:
  Server(const std::string& address, std::uint16_t port) : endpoint_{asio::ip::make_address(address), port} {
    listen();
    endpoint_ = acceptor_.local_endpoint();
    service_.port = endpoint_.port();
    thread_ = std::thread{[this] { io_.run(); }};
  }
  ~Server() {
    io_.stop();
    thread_.join();
  }

  // Runs `function` on the server's thread and hands back what it returns or throws.
  template <class Function>
  auto run(Function function) {
    std::packaged_task<decltype(function())()> task{std::move(function)};
    auto result = task.get_future();
    asio::post(io_, std::move(task));
    return result.get();
  }

  void listen() {
    acceptor_ = tcp::acceptor{io_, endpoint_};
    accept();
  }
  void stop() {
    acceptor_.close();
    drop();
  }
  void drop();

  struct Script {
    Procedure procedure;
    Action action;
    std::size_t times;
    When when;
  };

  asio::io_context io_{1};
  asio::executor_work_guard<asio::io_context::executor_type> work_{io_.get_executor()};
  tcp::acceptor acceptor_{io_};
  tcp::endpoint endpoint_;
  Service service_;
  std::list<Script> scripts_;
  std::vector<Request> requests_;
  bool close_new_ = false;
  std::size_t uncut_ = kForEver;  // bytes of replies until a connection is closed
  std::size_t sent_ = 0;
  std::size_t late_ = 0;
  std::minstd_rand random_{1};

  class Connection;
  std::list<std::shared_ptr<Connection>> connections_;

 private:
  void accept();
  Action action_for(const Request& request);

  std::uint32_t accepted_ = 0;
  std::thread thread_;
};

class ScriptedServer::Server::Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(Server& server, tcp::socket socket, std::uint32_t number)
      : server_{server}, socket_{std::move(socket)}, number_{number} {
    socket_.set_option(tcp::no_delay{true});
    error_code gone;
    source_ = socket_.remote_endpoint(gone).port();
  }

  void read() {
    asio::async_read(socket_, asio::buffer(marker_), [self = shared_from_this()](error_code error, std::size_t) {
      if (error) return self->leave();
      const std::uint32_t size = XdrReader{{self->marker_.data(), 4}}.word() & 0x7fffffff;
      self->record_.resize(size);
      self->read_record();
    });
  }

  void close() {
    error_code ignored;
    socket_.close(ignored);
  }

 private:
  void read_record() {
    asio::async_read(socket_, asio::buffer(record_), [self = shared_from_this()](error_code error, std::size_t) {
      if (error) return self->leave();
      self->take(read_call(self->record_));
      if (self->socket_.is_open()) self->read();
    });
  }

  void leave() {
    close();
    server_.connections_.remove(shared_from_this());
  }

  void take(Call call) {
    if (call.acceptable != kSuccess) return write(accepted(call.xid, call.acceptable, {}));
    call.request.connection = number_;
    call.request.source = source_;
    server_.requests_.push_back(call.request);
    const Action action = server_.action_for(call.request);
    if (action.delay.count() == 0) return perform(call, action);
    auto timer = std::make_shared<asio::steady_timer>(socket_.get_executor(), action.delay);
    timer->async_wait([self = shared_from_this(), timer, call, action](error_code) { self->perform(call, action); });
  }

  void perform(const Call& call, const Action& action) {
    using Fault = Action::Fault;
    if (action.fault == Fault::silence) return;
    if (action.fault == Fault::drop) return leave();
    if (action.fault == Fault::noise) return send(noise());
    if (action.fault == Fault::endless) return repeat(record(64 << 10, std::string(64 << 10, '\0')));
    if (action.fault == Fault::empty) return repeat(record(0, {}));
    if (const auto refused = refusal(call, action)) return write(*refused);
    const std::string results = server_.service_.execute(call.request, action);
    if (action.delay.count() > 0) ++server_.late_;
    if (action.fault == Fault::execute_silently) return;
    if (action.fault == Fault::execute_and_drop) return leave();
    const std::size_t size = action.fault == Fault::truncate ? results.size() / 8 * 4 : results.size();
    const std::uint32_t xid = action.fault == Fault::wrong_xid ? ~call.xid : call.xid;
    write(accepted(xid, kSuccess, std::string_view{results}.substr(0, size)), action.fault);
  }

  // The message that is sent instead of an execution.
  static std::optional<std::string> refusal(const Call& call, const Action& action) {
    using Fault = Action::Fault;
    switch (action.fault) {
      case Fault::garbage:
        return "garbage!";
      case Fault::message:
        return XdrWriter{}.word(call.xid).raw(action.message).bytes();
      case Fault::deny:
        return denied(call.xid, action.auth_stat);
      case Fault::rpc_mismatch:
        return rpc_mismatch(call.xid);
      case Fault::prog_unavail:
        return accepted(call.xid, kProgUnavail, {});
      case Fault::prog_mismatch:
        return accepted(call.xid, kProgMismatch, XdrWriter{}.word(4).word(4).bytes());  // it has version 4 alone
      case Fault::proc_unavail:
        return accepted(call.xid, kProcUnavail, {});
      case Fault::garbage_args:
        return accepted(call.xid, kGarbageArgs, {});
      case Fault::system_err:
        return accepted(call.xid, kSystemErr, {});
      default:
        return std::nullopt;
    }
  }

  std::string noise() {
    std::string bytes(1 + server_.random_() % 200, '\0');
    for (char& byte : bytes) byte = static_cast<char>(server_.random_());
    return bytes;
  }

  void write(std::string_view message, Action::Fault fault = Action::Fault::none) {
    using Fault = Action::Fault;
    const std::size_t half = message.size() / 8 * 4;
    switch (fault) {
      case Fault::short_mark:
        return send(record(kLast | half, message));
      case Fault::long_mark:
        return send(record(kLast | 2 * message.size(), message));
      case Fault::huge_mark:
        return send(record(~std::size_t{0}, message));
      case Fault::fragments:
        return send(record(half, message.substr(0, half)) +
                    record(kLast | (message.size() - half), message.substr(half)));
      case Fault::crowd:
        for (; message.size() > kMiB; message.remove_prefix(kMiB)) {
          send(record(kMiB, message.substr(0, kMiB)));
        }
        return send(record(kLast | message.size(), message));
      case Fault::dribble:
        for (const char byte : record(kLast | message.size(), message)) send({byte});
        return;
      default:
        return send(record(kLast | message.size(), message));
    }
  }

  static constexpr std::size_t kLast = 0x80000000;  // fragment of a record
  static constexpr std::size_t kMiB = 1 << 20;

  // For ever.
  void repeat(const std::string& bytes) {
    repeated_ = bytes;
    send(bytes);
  }

  static std::string record(std::size_t mark, std::string_view message) {
    return XdrWriter{}.word(static_cast<std::uint32_t>(mark)).raw(message).bytes();
  }

  void send(std::string bytes) {
    out_.push_back(std::move(bytes));
    if (out_.size() == 1) write_next();
  }

  void write_next() {
    const std::size_t whole = out_.front().size();
    const std::size_t size = std::min(whole, server_.uncut_);
    server_.sent_ += size;
    if (server_.uncut_ != kForEver) server_.uncut_ -= size;
    asio::async_write(socket_, asio::buffer(out_.front(), size), [=, self = shared_from_this()](auto error, auto) {
      if (size < whole) {
        self->server_.uncut_ = kForEver;
        return self->leave();
      }
      self->out_.pop_front();
      if (!self->repeated_.empty()) self->out_.push_back(self->repeated_);
      if (!error && !self->out_.empty()) self->write_next();
    });
  }

  Server& server_;
  tcp::socket socket_;
  std::uint32_t number_;
  std::uint16_t source_ = 0;
  std::array<char, 4> marker_{};
  std::string record_;
  std::deque<std::string> out_;
  std::string repeated_;
};

void ScriptedServer::Server::drop() {
  for (auto& connection : std::exchange(connections_, {})) connection->close();
}

void ScriptedServer::Server::accept() {
  acceptor_.async_accept([this](error_code error, tcp::socket socket) {
    if (error) return;
    if (!close_new_) {
      connections_.push_back(std::make_shared<Connection>(*this, std::move(socket), ++accepted_));
      connections_.back()->read();
    }
    accept();
  });
}

Action ScriptedServer::Server::action_for(const Request& request) {
  const auto script = std::find_if(scripts_.begin(), scripts_.end(), [&](const Script& each) {
    return each.procedure == request.procedure && (!each.when || each.when(request));
  });
  if (script == scripts_.end()) return {};
  Action action = script->action;
  if (script->times != kForEver && --script->times == 0) scripts_.erase(script);
  return action;
}

ScriptedServer::ScriptedServer(const std::string& address, std::uint16_t port)
    : server_{std::make_unique<Server>(address, port)} {}
ScriptedServer::~ScriptedServer() = default;

std::uint16_t ScriptedServer::port() const {
  return server_->run([this] { return server_->endpoint_.port(); });
}

NfsConfig ScriptedServer::config(std::chrono::milliseconds timeout) const {
  NfsConfig config;
  config.servers = {{server_->run([this] { return server_->endpoint_.address().to_string(); }), 0}};
  config.port = config.mount_port = port();
  config.timeout = timeout;
  return config;
}

void ScriptedServer::add_directory(const std::string& path) {
  server_->run([&] { server_->service_.tree.add(path, Node::Type::directory); });
}
void ScriptedServer::add_file(const std::string& path) {
  server_->run([&] { server_->service_.tree.add(path, Node::Type::file); });
}
void ScriptedServer::add_symlink(const std::string& path) {
  server_->run([&] { server_->service_.tree.add(path, Node::Type::symlink); });
}
void ScriptedServer::add_link(const std::string& path, const std::string& existing) {
  server_->run([&] { server_->service_.tree.put(path, server_->service_.tree.at(existing)); });
}
void ScriptedServer::remove(const std::string& path) {
  server_->run([&] { server_->service_.tree.remove(path); });
}
void ScriptedServer::rename(const std::string& path, const std::string& target) {
  server_->run([&] {
    server_->service_.tree.put(target, server_->service_.tree.at(path));
    server_->service_.tree.remove(path);
  });
}
void ScriptedServer::set_owner(const std::string& path, std::uint32_t uid) {
  server_->run([&] { server_->service_.tree.at(path)->uid = uid; });
}
void ScriptedServer::set_atime(const std::string& path, Time atime) {
  server_->run([&] { (void)server_->service_.tree.set_atime(*server_->service_.tree.at(path), atime, std::nullopt); });
}
ScriptedServer::Times ScriptedServer::times(const std::string& path) const {
  return server_->run([&] { return server_->service_.tree.at(path)->times; });
}
std::string ScriptedServer::handle(const std::string& path) const {
  return server_->run([&] { return MemoryTree::handle(*server_->service_.tree.at(path)); });
}
void ScriptedServer::forget_handles() {
  server_->run([&] { server_->service_.tree.forget_handles(false); });
}
void ScriptedServer::forget_all_handles() {
  server_->run([&] { server_->service_.tree.forget_handles(true); });
}
void ScriptedServer::set_exports(std::vector<std::string> paths) {
  server_->run([&] { server_->service_.exports = std::move(paths); });
}

void ScriptedServer::script(Procedure procedure, Action action, std::size_t times, When when) {
  server_->run([&] { server_->scripts_.push_back({procedure, action, times, std::move(when)}); });
}
void ScriptedServer::clear_scripts() {
  server_->run([&] { server_->scripts_.clear(); });
}

std::size_t ScriptedServer::connections() const {
  return server_->run([&] { return server_->connections_.size(); });
}
void ScriptedServer::drop_connections() {
  server_->run([&] { server_->drop(); });
}
void ScriptedServer::close_new_connections(bool close) {
  server_->run([&] { server_->close_new_ = close; });
}
void ScriptedServer::cut_replies(std::size_t bytes) {
  server_->run([&] { server_->uncut_ = bytes; });
}
std::size_t ScriptedServer::bytes_sent() const {
  return server_->run([&] { return server_->sent_; });
}
std::size_t ScriptedServer::late() const {
  return server_->run([&] { return server_->late_; });
}
void ScriptedServer::stop() {
  server_->run([&] { server_->stop(); });
}
void ScriptedServer::start() {
  server_->run([&] { server_->listen(); });
}

std::vector<Request> ScriptedServer::requests() const {
  return server_->run([&] { return server_->requests_; });
}
std::size_t ScriptedServer::count(Procedure procedure) const {
  return server_->run([&] {
    return static_cast<std::size_t>(
        std::count_if(server_->requests_.begin(), server_->requests_.end(),
                      [&](const Request& request) { return request.procedure == procedure; }));
  });
}
void ScriptedServer::clear_requests() {
  server_->run([&] { server_->requests_.clear(); });
}

}  // namespace qatime::nfs::testing
