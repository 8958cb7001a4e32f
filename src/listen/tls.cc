// SPDX-License-Identifier: MIT
// OpenSSL reads the socket itself. The stream of Asio would hold 68 KiB of buffers for each connection, copy every byte
// twice more, and lose what a socket that does not block did not take at once.
#include "listen/tls.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <ctime>
#include <fstream>
#include <string_view>
#include <utility>

#include <boost/asio/error.hpp>
#include <fmt/core.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/address.h"
#include "ingest/parse/proxy_header.h"

namespace qatime::ingest {
namespace {

using boost::system::error_code;

template <class T, void (*Free)(T*)>
struct Freed {
  void operator()(T* object) const noexcept { Free(object); }
};
using Bio = std::unique_ptr<BIO, Freed<BIO, BIO_free_all>>;
using PrivateKey = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY, EVP_PKEY_free>>;

constexpr const char* kCertificate = "syslog.tls.certificate";
constexpr const char* kKey = "syslog.tls.key";
constexpr const char* kClientCa = "syslog.tls.client_ca";

std::string system_message(int number) { return error_code{number, boost::system::system_category()}.message(); }

std::string ssl_message(unsigned long code) {
  if (ERR_SYSTEM_ERROR(code)) return system_message(ERR_GET_REASON(code));
  const char* const reason = ERR_reason_error_string(code);
  return reason == nullptr ? fmt::format("OpenSSL error {:x}", code) : reason;
}

ConfigError file_error(const Config& config, const char* key, const std::string& path, std::string_view why) {
  return config.error(key, fmt::format("names {}: {}", path, why));
}

// Throws if nothing can be read from the file that `key` names.
void expect_readable(const Config& config, const char* key, const std::string& path) {
  errno = 0;
  std::ifstream file{path, std::ios::binary};
  if (file.peek() != std::ifstream::traits_type::eof()) return;
  throw file_error(config, key, path, errno == 0 ? "it is empty" : system_message(errno));
}

// For a call that failed on the content of the file.
ConfigError bad_content(const Config& config, const char* key, const std::string& path, std::string_view wanted) {
  const unsigned long code = ERR_peek_error();  // the cause; others follow from it
  const bool is_other = ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE;
  return file_error(config, key, path,
                    is_other ? fmt::format("it holds no {} in PEM form", wanted) : ssl_message(code));
}

void use_certificate(SSL_CTX* context, const Config& config) {
  const std::string& path = config.syslog.tls.certificate;
  expect_readable(config, kCertificate, path);
  if (SSL_CTX_use_certificate_chain_file(context, path.c_str()) != 1) {
    throw bad_content(config, kCertificate, path, "certificate");
  }
}

// Without it OpenSSL would ask on the terminal.
int refuse_passphrase(char* /*buffer*/, int /*size*/, int /*is_writing*/, void* was_asked) {
  *static_cast<bool*>(was_asked) = true;
  return -1;
}

void use_key(SSL_CTX* context, const Config& config) {
  const std::string& path = config.syslog.tls.key;
  expect_readable(config, kKey, path);
  const Bio file{BIO_new_file(path.c_str(), "r")};
  bool is_encrypted = false;
  const PrivateKey key{PEM_read_bio_PrivateKey(file.get(), nullptr, refuse_passphrase, &is_encrypted)};
  if (is_encrypted) throw file_error(config, kKey, path, "it needs a passphrase, and nobody can be asked");
  if (!key) throw file_error(config, kKey, path, "it holds no private key in PEM form");
  if (X509_check_private_key(SSL_CTX_get0_certificate(context), key.get()) != 1) {
    throw file_error(config, kKey, path, fmt::format("it is not the key of {}", config.syslog.tls.certificate));
  }
  if (SSL_CTX_use_PrivateKey(context, key.get()) != 1) throw bad_content(config, kKey, path, "private key");
}

std::string subject_of(X509* certificate) {
  const Bio text{BIO_new(BIO_s_mem())};
  X509_NAME_print_ex(text.get(), X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253);
  char* begin = nullptr;
  const long size = BIO_get_mem_data(text.get(), &begin);
  return {begin, static_cast<std::size_t>(std::max(size, 0L))};
}

// The fingerprint of a certificate (RFC 5425 section 4.2.2): a label and a colon, and the bytes of its hash.
std::string fingerprint(X509* certificate, std::string_view label, const EVP_MD* algorithm) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> bytes{};
  unsigned size = 0;
  if (X509_digest(certificate, algorithm, bytes.data(), &size) != 1) return {};
  std::string text{label};
  for (unsigned i = 0; i < size; ++i) text += fmt::format(":{:02X}", bytes.at(i));
  return text;
}

// RFC 5425 section 5.2, RFC 6125: an address by an iPAddress; a name by a dNSName or, where the certificate has none,
// by its common name. "*" as the whole first label stands for any one, here and there.
bool is_named(X509* certificate, const std::string& name) {
  if (name.starts_with("sha-1:")) return fingerprint(certificate, "sha-1", EVP_sha1()) == name;
  if (name.starts_with("sha-256:")) return fingerprint(certificate, "sha-256", EVP_sha256()) == name;
  if (parse_address(name)) return X509_check_ip_asc(certificate, name.c_str(), 0) == 1;
  const std::string_view checked = std::string_view{name}.substr(name.starts_with('*') ? 1 : 0);
  constexpr unsigned kFlags = X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_SINGLE_LABEL_SUBDOMAINS;
  return X509_check_host(certificate, checked.data(), checked.size(), kFlags, nullptr) == 1;
}

// OpenSSL calls it for each certificate of the peer's chain, the peer's own last.
int verify_peer(int is_trusted, X509_STORE_CTX* store) {
  auto* const ssl = static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  auto& failure = *static_cast<std::string*>(SSL_get_app_data(ssl));
  const auto& permitted = *static_cast<const std::vector<std::string>*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
  X509* const certificate = X509_STORE_CTX_get_current_cert(store);
  std::string why;
  if (is_trusted == 0) {
    why = X509_verify_cert_error_string(X509_STORE_CTX_get_error(store));
  } else if (X509_STORE_CTX_get_error_depth(store) == 0 && !permitted.empty() &&
             std::ranges::none_of(permitted, [&](const auto& name) { return is_named(certificate, name); })) {
    why = fmt::format("syslog.tls.permitted_peers has none of its names, and not {}",
                      fingerprint(certificate, "sha-256", EVP_sha256()));
    X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
  } else {
    return 1;
  }
  failure = fmt::format("its certificate ({}): {}", certificate == nullptr ? "none" : subject_of(certificate), why);
  return 0;
}

void trust_clients(SSL_CTX* context, const Config& config) {
  const std::string& path = config.syslog.tls.client_ca;
  if (path.empty()) return;
  expect_readable(config, kClientCa, path);
  STACK_OF(X509_NAME)* const names = SSL_load_client_CA_file(path.c_str());
  if (names == nullptr || SSL_CTX_load_verify_file(context, path.c_str()) != 1) {
    sk_X509_NAME_pop_free(names, X509_NAME_free);
    throw bad_content(config, kClientCa, path, "certificate");
  }
  SSL_CTX_set_client_CA_list(context, names);
  // Any certificate in the file is an anchor: an intermediate one alone, or that of a peer itself.
  X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(context), X509_V_FLAG_PARTIAL_CHAIN);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, verify_peer);
}

// Connections last for days, so sessions are not resumed: each peer shows its certificate.
void set_protocol(SSL_CTX* context) {
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_security_level(context, 2);
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET);
  SSL_CTX_set_num_tickets(context, 0);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_read_ahead(context, 1);
}

// OpenSSL calls it for what it reads and writes, and so with the first five bytes, before it refuses them.
void look_for_proxy_header(int is_written, int /*version*/, int type, const void* bytes, std::size_t size, SSL* /*ssl*/,
                           void* has_proxy_header) {
  if (is_written != 0 || type != SSL3_RT_HEADER) return;
  const std::string_view begin{static_cast<const char*>(bytes), size};
  if (measure_proxy_header(begin).kind == ProxyExtent::Kind::undecided) *static_cast<bool*>(has_proxy_header) = true;
}

}  // namespace

TlsSettings::TlsSettings(const Config& config)
    : context_{SSL_CTX_new(TLS_server_method()), SSL_CTX_free}, permitted_peers_{config.syslog.tls.permitted_peers} {
  if (!context_) throw std::bad_alloc{};
  (void)std::signal(SIGPIPE, SIG_IGN);
  ERR_clear_error();
  set_protocol(context_.get());
  SSL_CTX_set_app_data(context_.get(), &permitted_peers_);
  use_certificate(context_.get(), config);
  use_key(context_.get(), config);
  trust_clients(context_.get(), config);
}

TlsSettings::~TlsSettings() = default;

std::string TlsSettings::describe() const {
  X509* const certificate = SSL_CTX_get0_certificate(context_.get());
  std::tm end{};
  ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &end);
  return fmt::format("{}, valid until {:04}-{:02}-{:02} UTC", subject_of(certificate), end.tm_year + 1900,
                     end.tm_mon + 1, end.tm_mday);
}

TlsStream::TlsStream(std::shared_ptr<const TlsSettings> settings, int socket)
    : settings_{std::move(settings)}, ssl_{SSL_new(settings_->context_.get()), SSL_free} {
  if (!ssl_ || SSL_set_fd(ssl_.get(), socket) != 1) throw std::bad_alloc{};
  SSL_set_app_data(ssl_.get(), &failure_);
  SSL_set_msg_callback(ssl_.get(), look_for_proxy_header);
  SSL_set_msg_callback_arg(ssl_.get(), &has_proxy_header_);
  SSL_set_accept_state(ssl_.get());
}

TlsStream::~TlsStream() = default;

TlsStream::Handshake TlsStream::shake_hands() {
  ERR_clear_error();
  errno = 0;
  const int result = SSL_do_handshake(ssl_.get());
  if (result == 1) {
    SSL_set_msg_callback(ssl_.get(), nullptr);
    return Handshake::done;
  }
  const int error = SSL_get_error(ssl_.get(), result);
  if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) return Handshake::unfinished;
  is_broken_ = true;
  return explain(error);
}

// The meaning of `error`, of SSL_get_error(), for somebody who set up the peer.
TlsStream::Handshake TlsStream::explain(int error) {
  if (BIO_number_read(SSL_get_rbio(ssl_.get())) == 0) return Handshake::departed;
  if (error != SSL_ERROR_SSL) {
    failure_ = errno == 0 ? "it closed the connection" : system_message(errno);
    return Handshake::failed;
  }
  const unsigned long code = ERR_peek_error();
  switch (const int reason = ERR_GET_REASON(code)) {
    case SSL_R_CERTIFICATE_VERIFY_FAILED:
      return Handshake::untrusted;  // verify_peer() said why
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
      failure_ = "it has no certificate, and syslog.tls.client_ca asks for one";
      return Handshake::untrusted;
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_HTTP_REQUEST:
      failure_ = has_proxy_header_ ? "it sends a PROXY header, which syslog.proxy_from does not expect"
                                   : "it does not speak TLS";
      return Handshake::failed;
    case SSL_R_UNSUPPORTED_PROTOCOL:
      failure_ = "it knows no TLS as new as 1.2";
      return Handshake::failed;
    case SSL_R_UNEXPECTED_EOF_WHILE_READING:
      failure_ = "it closed the connection";
      return Handshake::failed;
    default:
      failure_ = fmt::format("{}{}", reason > SSL_AD_REASON_OFFSET ? "it refuses us: " : "", ssl_message(code));
      return Handshake::failed;
  }
}

std::size_t TlsStream::read_some(std::span<char> space, error_code& error) {
  std::size_t total = 0;
  error.clear();
  while (total < space.size()) {
    std::size_t size = 0;
    ERR_clear_error();
    const int result = SSL_read_ex(ssl_.get(), space.data() + total, space.size() - total, &size);
    total += size;
    if (result == 1) continue;
    switch (SSL_get_error(ssl_.get(), result)) {
      case SSL_ERROR_WANT_READ:
      case SSL_ERROR_WANT_WRITE:
        error = boost::asio::error::would_block;
        break;
      case SSL_ERROR_ZERO_RETURN:
        error = boost::asio::error::eof;
        break;
      default:
        error = boost::asio::error::connection_reset;
        is_broken_ = true;
    }
    break;
  }
  return total;
}

bool TlsStream::wants_write() const noexcept { return SSL_want_write(ssl_.get()); }

void TlsStream::close() noexcept {
  if (!is_broken_ && SSL_is_init_finished(ssl_.get())) SSL_shutdown(ssl_.get());
  ERR_clear_error();
}

}  // namespace qatime::ingest
