// SPDX-License-Identifier: MIT
// Certificates made for one test, in files of a directory of their own.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <openssl/ssl.h>

namespace qatime::ingest {

// Someone's certificate and private key, and their files.
class Identity {
 public:
  Identity(X509* certificate, EVP_PKEY* key, std::string certificate_file, std::string key_file);
  ~Identity();
  Identity(const Identity&) = delete;
  Identity& operator=(const Identity&) = delete;

  [[nodiscard]] X509* certificate() const noexcept { return certificate_; }
  [[nodiscard]] EVP_PKEY* key() const noexcept { return key_; }
  [[nodiscard]] const std::string& certificate_file() const noexcept { return certificate_file_; }
  [[nodiscard]] const std::string& key_file() const noexcept { return key_file_; }

 private:
  X509* certificate_;
  EVP_PKEY* key_;
  std::string certificate_file_;
  std::string key_file_;
};

class Certificates {
 public:
  Certificates();
  ~Certificates();
  Certificates(const Certificates&) = delete;
  Certificates& operator=(const Certificates&) = delete;

  // `subject_alternatives` as in x509v3_config(5): "DNS:a.example,IP:192.0.2.1"; "" for none. Valid for an hour.
  [[nodiscard]] Identity authority(const std::string& common_name) const;
  // An authority by the grace of another.
  [[nodiscard]] Identity intermediate(const Identity& authority, const std::string& common_name) const;
  [[nodiscard]] Identity issue(const Identity& authority, const std::string& common_name,
                               const std::string& subject_alternatives = "") const;

  // Writes a file there; returns its path.
  [[nodiscard]] std::string file(const std::string& name, const std::string& text) const;

  // The key of `identity`, encrypted.
  [[nodiscard]] std::string locked_key(const Identity& identity) const;

 private:
  struct Extension {
    int kind;  // NID
    std::string value;
  };
  [[nodiscard]] Identity make(const std::string& common_name, const Identity* authority,
                              const std::vector<Extension>& extensions) const;

  std::filesystem::path directory_;
};

}  // namespace qatime::ingest
