// SPDX-License-Identifier: MIT
#include "redis/connection.h"

#include <csignal>
#include <utility>

#include <fmt/core.h>
#include <hiredis/hiredis.h>

#include "base/url.h"

namespace qatime::backlog::redis {
namespace {

timeval to_timeval(std::chrono::milliseconds time) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(time);
  timeval value{};
  value.tv_sec = seconds.count();
  value.tv_usec = std::chrono::microseconds{time - seconds}.count();
  return value;
}

RedisReply convert(const redisReply& from) {
  RedisReply reply;
  switch (from.type) {
    case REDIS_REPLY_INTEGER:
      reply.kind = RedisReply::Kind::number;
      reply.number = from.integer;
      break;
    case REDIS_REPLY_ARRAY:
      reply.kind = RedisReply::Kind::list;
      reply.list.reserve(from.elements);
      for (std::size_t i = 0; i < from.elements; ++i) reply.list.push_back(convert(*from.element[i]));
      break;
    case REDIS_REPLY_NIL:
      break;
    default:
      reply.kind = from.type == REDIS_REPLY_ERROR ? RedisReply::Kind::error : RedisReply::Kind::text;
      reply.text.assign(from.str, static_cast<std::size_t>(from.len));
  }
  return reply;
}

}  // namespace

std::string RedisAddress::text() const { return format_host_port(host, port); }

void RedisConnection::Free::operator()(redisContext* context) const noexcept { redisFree(context); }

RedisConnection::RedisConnection(RedisAddress endpoint, std::chrono::milliseconds timeout, bool uses_tls)
    : endpoint_{std::move(endpoint)},
      context_{redisConnectWithTimeout(endpoint_.host.c_str(), endpoint_.port, to_timeval(timeout))} {
  (void)std::signal(SIGPIPE, SIG_IGN);
  if (!context_) throw Unavailable{fmt::format("{}: out of memory", endpoint_.text())};
  if (context_->err != 0) fail();
  redisSetTimeout(context_.get(), to_timeval(timeout));
  if (!uses_tls) return;
  const std::string problem = start_tls(context_.get(), endpoint_.host);
  if (!problem.empty()) throw Unavailable{fmt::format("{}: TLS: {}", endpoint_.text(), problem)};
}

void RedisConnection::append(std::string_view command) {
  if (redisAppendFormattedCommand(context_.get(), command.data(), command.size()) != REDIS_OK) fail();
}

void RedisConnection::flush() {
  for (int done = 0; done == 0;) {
    if (redisBufferWrite(context_.get(), &done) != REDIS_OK) fail();
  }
}

RedisReply RedisConnection::receive() {
  void* raw = nullptr;
  if (redisGetReply(context_.get(), &raw) != REDIS_OK) fail();
  const std::unique_ptr<void, decltype(&freeReplyObject)> owner{raw, &freeReplyObject};
  return convert(*static_cast<const redisReply*>(raw));
}

RedisReply RedisConnection::call(Command command) {
  append(command.bytes());
  return receive();
}

// A timeout is EAGAIN to hiredis.
void RedisConnection::fail() const {
  const std::string what = context_->errstr;
  throw Unavailable{
      fmt::format("{}: {}", endpoint_.text(), what == "Resource temporarily unavailable" ? "no answer in time" : what)};
}

}  // namespace qatime::backlog::redis
