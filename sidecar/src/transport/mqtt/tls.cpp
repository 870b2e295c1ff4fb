// Sets OpenSSL up to verify the host by its name.
#include "transport/mqtt/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <new>

#include "config/settings.h"

namespace sealcast::transport::mqtt {

Tls::Tls(const std::string& host, const std::string& ca_file)
    : asked_for_(host), verdict_(X509_V_OK), context_(SSL_CTX_new(TLS_client_method()), SSL_CTX_free) {
  if (!context_) throw std::bad_alloc();
  SSL_CTX_set_app_data(context(), this);
  SSL_CTX_set_min_proto_version(context(), TLS1_2_VERSION);
  SSL_CTX_set_info_callback(context(), on_progress);
  SSL_CTX_set_verify(context(), SSL_VERIFY_PEER, on_verified);
  X509_VERIFY_PARAM* expected = SSL_CTX_get0_param(context());
  X509_VERIFY_PARAM_set_hostflags(expected, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  if (X509_VERIFY_PARAM_set1_ip_asc(expected, host.c_str()) == 1) {
    asked_for_.clear();  // an address is no name to ask for (RFC 6066, 3)
  } else {
    X509_VERIFY_PARAM_set1_host(expected, host.c_str(), host.size());
  }
  const bool loaded = ca_file.empty() ? SSL_CTX_set_default_verify_paths(context()) == 1
                                      : SSL_CTX_load_verify_file(context(), ca_file.c_str()) == 1;
  ERR_clear_error();
  if (!loaded) {
    throw core::SettingsError("mqtt.ca_file: \"" + ca_file +
                              "\" holds no certificates that can be used; name a PEM file with the certificate of the "
                              "authority");
  }
}

// Before the first message is made: libmosquitto has put the address where the name belongs.
void Tls::on_progress(const SSL* connection, int where, int) {
  if ((where & SSL_CB_HANDSHAKE_START) == 0) return;
  auto& self = *static_cast<Tls*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(connection)));
  self.verdict_ = X509_V_OK;
  char* const name = self.asked_for_.empty() ? nullptr : self.asked_for_.data();
  SSL_set_tlsext_host_name(const_cast<SSL*>(connection), name);
}

int Tls::on_verified(int good, X509_STORE_CTX* certificates) {
  const auto* connection =
      static_cast<SSL*>(X509_STORE_CTX_get_ex_data(certificates, SSL_get_ex_data_X509_STORE_CTX_idx()));
  auto& self = *static_cast<Tls*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(connection)));
  if (good != 1) self.verdict_ = X509_STORE_CTX_get_error(certificates);
  return good;
}

std::string Tls::fault() const {
  if (verdict_ != X509_V_OK) {
    return std::string("its certificate does not verify: ") + X509_verify_cert_error_string(verdict_);
  }
  const char* reason = ERR_reason_error_string(ERR_peek_last_error());
  return std::string("no TLS: ") + (reason != nullptr ? reason : "the handshake failed");
}

}  // namespace sealcast::transport::mqtt
