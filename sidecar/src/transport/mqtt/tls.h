// TLS for connections to a broker: which certificate authorities are trusted, and which host name the certificate must
// have.
#pragma once

#include <openssl/types.h>

#include <memory>
#include <string>

namespace sealcast::transport::mqtt {

// libmosquitto gets an IP address and does not know the host name. So this class sets the host name for SNI and for the
// check of the certificate.
class Tls {
 public:
  // When `ca_file` is empty, the certificate authorities of the operating system are trusted. Throws SettingsError when
  // the certificates cannot be loaded.
  Tls(const std::string& host, const std::string& ca_file);
  Tls(const Tls&) = delete;
  Tls& operator=(const Tls&) = delete;

  SSL_CTX* context() const { return context_.get(); }
  // Returns why the last handshake failed. Must be called before another call of OpenSSL changes its error queue.
  std::string fault() const;

 private:
  static void on_progress(const SSL* connection, int where, int);
  static int on_verified(int good, X509_STORE_CTX* certificates);

  std::string server_name_;  // the name for SNI; empty: no SNI
  int verify_result_;        // result of the certificate check in the last handshake
  std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)> context_;
};

}  // namespace sealcast::transport::mqtt
