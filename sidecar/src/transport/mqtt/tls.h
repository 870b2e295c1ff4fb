// TLS to a broker: whose certificates count, and for which host.
#pragma once

#include <openssl/types.h>

#include <memory>
#include <string>

namespace sealcast::transport::mqtt {

// libmosquitto connects to an address, so the name of the host is seen to here.
class Tls {
 public:
  // `ca_file` may be empty: the system's certificates. Throws SettingsError when it cannot be used.
  Tls(const std::string& host, const std::string& ca_file);
  Tls(const Tls&) = delete;
  Tls& operator=(const Tls&) = delete;

  SSL_CTX* context() const { return context_.get(); }
  std::string fault() const;  // why the last handshake failed

 private:
  static void on_progress(const SSL* connection, int where, int);
  static int on_verified(int good, X509_STORE_CTX* certificates);

  std::string asked_for_;  // the name in the first message of a handshake (SNI); empty: none
  int verdict_;            // on the certificates of the last handshake
  std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)> context_;
};

}  // namespace sealcast::transport::mqtt
