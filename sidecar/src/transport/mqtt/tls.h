// TLS for connections to a broker: which certificate authorities are trusted, and which host name the certificate must
// have.
#pragma once

#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/error.hpp>
#include <string>

#include "base/asio.h"

namespace sealcast::transport::mqtt {

class Tls {
 public:
  // When `ca_file` is empty, the certificate authorities of the operating system are trusted. Throws SettingsError when
  // the certificates cannot be loaded.
  Tls(const std::string& host, const std::string& ca_file);

  asio::ssl::context& context() const { return context_; }
  void set_server_name(SSL* connection) const;  // must be called before the handshake

 private:
  std::string server_name_;             // the name for SNI; empty: no SNI
  mutable asio::ssl::context context_;  // connections only read it
};

// Returns why the handshake failed with `error`.
std::string handshake_fault(SSL* connection, const boost::system::error_code& error);

}  // namespace sealcast::transport::mqtt
