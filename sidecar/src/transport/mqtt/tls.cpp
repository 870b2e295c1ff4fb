// Sets up OpenSSL so that it checks the broker's certificate against the host name.
#include "transport/mqtt/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <new>

#include "config/settings.h"

namespace sealcast::transport::mqtt {

Tls::Tls(const std::string& host, const std::string& ca_file)
    : server_name_(host), verify_result_(X509_V_OK), context_(SSL_CTX_new(TLS_client_method()), SSL_CTX_free) {
  if (!context_) throw std::bad_alloc();
  SSL_CTX_set_app_data(context(), this);
  SSL_CTX_set_min_proto_version(context(), TLS1_2_VERSION);
  SSL_CTX_set_info_callback(context(), on_progress);
  SSL_CTX_set_verify(context(), SSL_VERIFY_PEER, on_verified);
  X509_VERIFY_PARAM* expected = SSL_CTX_get0_param(context());
  X509_VERIFY_PARAM_set_hostflags(expected, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  if (X509_VERIFY_PARAM_set1_ip_asc(expected, host.c_str()) == 1) {
    server_name_.clear();  // SNI does not allow an IP address (RFC 6066, 3)
  } else {
    X509_VERIFY_PARAM_set1_host(expected, host.c_str(), host.size());
  }
  const bool loaded = ca_file.empty() ? SSL_CTX_set_default_verify_paths(context()) == 1
                                      : SSL_CTX_load_verify_file(context(), ca_file.c_str()) == 1;
  ERR_clear_error();
  if (!loaded) {
    throw core::SettingsError(
        "mqtt.ca_file: \"" + ca_file +
        "\" contains no usable certificate; name a PEM file with the certificate of the authority");
  }
}

// OpenSSL calls this before it writes the first message of the handshake. libmosquitto has set the IP address as the
// SNI name, so the host name replaces it here.
void Tls::on_progress(const SSL* connection, int where, int) {
  if ((where & SSL_CB_HANDSHAKE_START) == 0) return;
  auto& self = *static_cast<Tls*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(connection)));
  self.verify_result_ = X509_V_OK;
  char* const name = self.server_name_.empty() ? nullptr : self.server_name_.data();
  SSL_set_tlsext_host_name(const_cast<SSL*>(connection), name);
}

int Tls::on_verified(int good, X509_STORE_CTX* certificates) {
  const auto* connection =
      static_cast<SSL*>(X509_STORE_CTX_get_ex_data(certificates, SSL_get_ex_data_X509_STORE_CTX_idx()));
  auto& self = *static_cast<Tls*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(connection)));
  if (good != 1) self.verify_result_ = X509_STORE_CTX_get_error(certificates);
  return good;
}

std::string Tls::fault() const {
  if (verify_result_ != X509_V_OK) {
    return std::string("the certificate does not verify: ") + X509_verify_cert_error_string(verify_result_);
  }
  const char* reason = ERR_reason_error_string(ERR_peek_last_error());
  return std::string("TLS failed: ") + (reason != nullptr ? reason : "the handshake failed");
}

}  // namespace sealcast::transport::mqtt
