// Sets up OpenSSL so that it verifies the certificates of Redis servers and sentinels.
#include "client/redis/tls.h"

#include <stdexcept>

namespace sealcast::client::redis {
namespace {

std::shared_ptr<asio::ssl::context> make_context(const Options& options) {
  auto tls = std::make_shared<asio::ssl::context>(asio::ssl::context::tls_client);
  tls->set_verify_mode(asio::ssl::verify_peer);
  SSL_CTX_set_min_proto_version(tls->native_handle(), TLS1_2_VERSION);
  boost::system::error_code error;
  if (options.ca_file.empty()) {
    tls->set_default_verify_paths(error);
  } else {
    tls->load_verify_file(options.ca_file, error);
  }
  if (error) {
    throw std::runtime_error(options.ca_setting + ": \"" + options.ca_file + "\" contains no usable certificate (" +
                             error.message() + "); name a PEM file with the certificate of the authority");
  }
  return tls;
}

}  // namespace

std::shared_ptr<TlsContexts> make_tls(const Options& options) {
  if (!options.tls) return nullptr;
  return std::make_shared<TlsContexts>(options.ca_file, [options] { return make_context(options); });
}

}  // namespace sealcast::client::redis
