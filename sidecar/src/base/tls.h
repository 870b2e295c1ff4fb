// TLS of a client that opens its own connections: the certificate authorities that it trusts, its own certificate, and
// the host that it expects. Replaced files take effect with the next connection.
#pragma once

#include <array>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/error.hpp>
#include <memory>
#include <string>

#include "base/asio.h"
#include "base/file_stamp.h"

namespace sealcast {

// PEM files.
struct TlsFiles {
  std::string settings;     // the beginning of the names of the three settings, for errors: "mqtt."
  std::string ca_file{};    // trusted authorities; empty: those of the operating system
  std::string cert_file{};  // the client's own certificate, and those between it and its authority; empty: it has none
  std::string key_file{};   // the key of cert_file
};

class TlsContexts {
 public:
  // The certificates of the operating system are read only here. Throws SettingsError when a file cannot be used.
  explicit TlsContexts(TlsFiles files);

  // Returns the context for a new connection. When a file has changed and the files cannot be used, the last context
  // stays in use.
  std::shared_ptr<asio::ssl::context> context();

 private:
  std::array<FileStamp, 3> stamps() const;
  std::string changed_files(const std::array<FileStamp, 3>& now) const;

  const TlsFiles files_;
  std::array<FileStamp, 3> stamps_;
  std::shared_ptr<asio::ssl::context> context_;
};

// Makes the handshake of a connection check that the server's certificate is that of `host`, and name the host to the
// server. Must be called before the handshake.
void expect_host(SSL* connection, const std::string& host);

// Returns why the handshake failed with `error`.
std::string handshake_fault(SSL* connection, const boost::system::error_code& error);

}  // namespace sealcast
