// SPDX-License-Identifier: MIT
// hiredis can make a connection's SSL itself, but then takes any certificate that a known authority has signed,
// whatever the host: so we make it.
#include <memory>

#include <hiredis/hiredis.h>
#include <hiredis/hiredis_ssl.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/address.h"
#include "redis/connection.h"

namespace qatime::backlog::redis {
namespace {

// The certificate must be for this name or address (RFC 6125): "*" stands for a whole label.
bool expect(SSL* ssl, const std::string& host) {
  if (parse_address(host)) return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host.c_str()) == 1;
  SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  return SSL_set1_host(ssl, host.c_str()) == 1 && SSL_set_tlsext_host_name(ssl, host.c_str()) == 1;
}

}  // namespace

bool has_tls() noexcept { return true; }

std::string start_tls(redisContext* context, const std::string& host) {
  const std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> settings{SSL_CTX_new(TLS_client_method()), &SSL_CTX_free};
  if (!settings || SSL_CTX_set_min_proto_version(settings.get(), TLS1_2_VERSION) != 1 ||
      SSL_CTX_set_default_verify_paths(settings.get()) != 1) {
    return "OpenSSL cannot be set up";
  }
  SSL_CTX_set_verify(settings.get(), SSL_VERIFY_PEER, nullptr);
  const std::unique_ptr<SSL, decltype(&SSL_free)> ssl{SSL_new(settings.get()), &SSL_free};
  if (!ssl || !expect(ssl.get(), host)) return "OpenSSL cannot be set up";
  if (redisInitiateSSL(context, ssl.get()) != REDIS_OK) {
    const long result = SSL_get_verify_result(ssl.get());
    return result == X509_V_OK ? context->errstr : X509_verify_cert_error_string(result);
  }
  SSL_up_ref(ssl.get());  // for the context, which frees it
  return "";
}

}  // namespace qatime::backlog::redis
