// SPDX-License-Identifier: MIT
#include <memory>

#include <hiredis/hiredis.h>
#include <hiredis/hiredis_ssl.h>

#include "backlog/redis/connection.h"

namespace qatime::backlog::redis {

bool has_tls() noexcept { return true; }

std::string start_tls(redisContext* context, const std::string& host) {
  redisInitOpenSSL();
  redisSSLContextError error = REDIS_SSL_CTX_NONE;
  // A context of OpenSSL keeps what its connections need of it.
  const std::unique_ptr<redisSSLContext, decltype(&redisFreeSSLContext)> ssl{
      redisCreateSSLContext(nullptr, "/etc/ssl/certs", nullptr, nullptr, host.c_str(), &error), &redisFreeSSLContext};
  if (!ssl) return redisSSLContextGetError(error);
  return redisInitiateSSLWithContext(context, ssl.get()) == REDIS_OK ? "" : context->errstr;
}

}  // namespace qatime::backlog::redis
