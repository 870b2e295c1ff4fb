// Sets up OpenSSL so that it checks the broker's certificate against the host name.
#include "transport/mqtt/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "config/settings.h"

namespace sealcast::transport::mqtt {

Tls::Tls(const std::string& host, const std::string& ca_file)
    : server_name_(host), context_(asio::ssl::context::tls_client) {
  SSL_CTX* const context = context_.native_handle();
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  X509_VERIFY_PARAM* expected = SSL_CTX_get0_param(context);
  X509_VERIFY_PARAM_set_hostflags(expected, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  if (X509_VERIFY_PARAM_set1_ip_asc(expected, host.c_str()) == 1) {
    server_name_.clear();  // SNI does not allow an IP address (RFC 6066, 3)
  } else {
    X509_VERIFY_PARAM_set1_host(expected, host.c_str(), host.size());
  }
  const bool loaded = ca_file.empty() ? SSL_CTX_set_default_verify_paths(context) == 1
                                      : SSL_CTX_load_verify_file(context, ca_file.c_str()) == 1;
  ERR_clear_error();
  if (!loaded) {
    throw core::SettingsError(
        "mqtt.ca_file: \"" + ca_file +
        "\" contains no usable certificate; name a PEM file with the certificate of the authority");
  }
}

void Tls::set_server_name(SSL* connection) const {
  if (!server_name_.empty()) SSL_set_tlsext_host_name(connection, server_name_.c_str());
}

std::string handshake_fault(SSL* connection, const boost::system::error_code& error) {
  const long result = SSL_get_verify_result(connection);
  if (result != X509_V_OK) {
    return std::string("the certificate does not verify: ") + X509_verify_cert_error_string(result);
  }
  return "TLS failed: " + error.message();
}

}  // namespace sealcast::transport::mqtt
