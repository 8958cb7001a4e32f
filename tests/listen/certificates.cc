// SPDX-License-Identifier: MIT
#include "listen/certificates.h"

#include <cstdio>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <utility>

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <unistd.h>

namespace qatime::ingest {
namespace {

using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

void expect(bool done) {
  if (!done) throw std::runtime_error{"OpenSSL makes no certificate"};
}

File open(const std::string& path) { return {std::fopen(path.c_str(), "we"), std::fclose}; }

}  // namespace

Identity::Identity(X509* certificate, EVP_PKEY* key, std::string certificate_file, std::string key_file)
    : certificate_{certificate},
      key_{key},
      certificate_file_{std::move(certificate_file)},
      key_file_{std::move(key_file)} {
  expect(PEM_write_X509(open(certificate_file_).get(), certificate_) == 1);
  expect(PEM_write_PrivateKey(open(key_file_).get(), key_, nullptr, nullptr, 0, nullptr, nullptr) == 1);
}

Identity::~Identity() {
  X509_free(certificate_);
  EVP_PKEY_free(key_);
}

Certificates::Certificates() {
  std::string name = (std::filesystem::temp_directory_path() / "qatime-tls-XXXXXX").string();
  expect(mkdtemp(name.data()) != nullptr);
  directory_ = name;
}

Certificates::~Certificates() { std::filesystem::remove_all(directory_); }

Identity Certificates::authority(const std::string& common_name) const {
  return make(common_name, nullptr, {{NID_basic_constraints, "critical,CA:TRUE"}});
}

Identity Certificates::intermediate(const Identity& authority, const std::string& common_name) const {
  return make(common_name, &authority, {{NID_basic_constraints, "critical,CA:TRUE"}});
}

Identity Certificates::issue(const Identity& authority, const std::string& common_name,
                             const std::string& subject_alternatives) const {
  std::vector<Extension> extensions;
  if (!subject_alternatives.empty()) extensions.push_back({NID_subject_alt_name, subject_alternatives});
  return make(common_name, &authority, extensions);
}

Identity Certificates::make(const std::string& common_name, const Identity* authority,
                            const std::vector<Extension>& extensions) const {
  static long serial = 0;
  EVP_PKEY* const key = EVP_EC_gen("P-256");
  X509* const certificate = X509_new();
  expect(key != nullptr && certificate != nullptr);
  X509_set_version(certificate, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++serial);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
  X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
  X509_set_pubkey(certificate, key);
  X509_NAME* const name = X509_get_subject_name(certificate);
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(common_name.c_str()), -1,
                             -1, 0);
  X509_set_issuer_name(certificate, authority == nullptr ? name : X509_get_subject_name(authority->certificate()));
  for (const auto& [kind, value] : extensions) {
    X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, nullptr, kind, value.c_str());
    expect(extension != nullptr);
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
  }
  expect(X509_sign(certificate, authority == nullptr ? key : authority->key(), EVP_sha256()) > 0);
  const std::string stem = (directory_ / std::to_string(serial)).string();
  return {certificate, key, stem + ".pem", stem + ".key"};
}

std::string Certificates::file(const std::string& name, const std::string& text) const {
  const std::string path = (directory_ / name).string();
  std::ofstream{path} << text;
  return path;
}

std::string Certificates::locked_key(const Identity& identity) const {
  const std::string path = file("locked.key", "");
  char secret[] = "secret";
  expect(PEM_write_PrivateKey(open(path).get(), identity.key(), EVP_aes_128_cbc(), nullptr, 0, nullptr, secret) == 1);
  return path;
}

}  // namespace qatime::ingest
