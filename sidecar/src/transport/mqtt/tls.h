// TLS to a broker: which authorities are trusted, and for which host name.
#pragma once

#include <openssl/types.h>

#include <memory>
#include <string>

namespace sealcast::transport::mqtt {

// libmosquitto connects to an address. So the host name for SNI and for the certificate check is set here.
class Tls {
 public:
  // An empty `ca_file` stands for the certificates of the system. Throws SettingsError when the file cannot be used.
  Tls(const std::string& host, const std::string& ca_file);
  Tls(const Tls&) = delete;
  Tls& operator=(const Tls&) = delete;

  SSL_CTX* context() const { return context_.get(); }
  std::string fault() const;  // why the last handshake failed

 private:
  static void on_progress(const SSL* connection, int where, int);
  static int on_verified(int good, X509_STORE_CTX* certificates);

  std::string server_name_;  // for SNI; empty: no SNI
  int verify_result_;        // of the last handshake
  std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)> context_;
};

}  // namespace sealcast::transport::mqtt
