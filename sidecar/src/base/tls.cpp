// Sets up OpenSSL so that it verifies the certificates of servers, and reads replaced files again.
#include "base/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <exception>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "base/log.h"
#include "core/settings_error.h"

namespace sealcast {
namespace {

void load_authorities(asio::ssl::context& context, const TlsFiles& files) {
  boost::system::error_code error;
  if (files.ca_file.empty()) {
    context.set_default_verify_paths(error);
  } else {
    context.load_verify_file(files.ca_file, error);
  }
  if (!error) return;
  throw core::SettingsError(files.settings + "ca_file: \"" + files.ca_file + "\" contains no usable certificate (" +
                            error.message() + "); name a PEM file with the certificate of the authority");
}

void load_own_certificate(asio::ssl::context& context, const TlsFiles& files) {
  if (files.cert_file.empty()) return;
  boost::system::error_code error;
  context.use_certificate_chain_file(files.cert_file, error);
  if (error) {
    throw core::SettingsError(files.settings + "cert_file: \"" + files.cert_file +
                              "\" contains no usable certificate (" + error.message() +
                              "); name a PEM file with the client's certificate");
  }
  // Without this callback, OpenSSL would ask for the passphrase of an encrypted key at the terminal.
  context.set_password_callback([](std::size_t, asio::ssl::context::password_purpose) { return std::string(); }, error);
  context.use_private_key_file(files.key_file, asio::ssl::context::pem, error);
  // OpenSSL compares a key only with a certificate of the same type until here.
  if (!error && SSL_CTX_check_private_key(context.native_handle()) != 1) {
    error = {static_cast<int>(ERR_get_error()), asio::error::get_ssl_category()};
  }
  if (error) {
    throw core::SettingsError(files.settings + "key_file: \"" + files.key_file + "\" is not the key of " +
                              files.settings + "cert_file (" + error.message() +
                              "); name a PEM file with this key, without a passphrase");
  }
}

std::shared_ptr<asio::ssl::context> make_context(const TlsFiles& files) {
  auto context = std::make_shared<asio::ssl::context>(asio::ssl::context::tls_client);
  SSL_CTX_set_min_proto_version(context->native_handle(), TLS1_2_VERSION);
  context->set_verify_mode(asio::ssl::verify_peer);
  load_authorities(*context, files);
  load_own_certificate(*context, files);
  return context;
}

}  // namespace

TlsContexts::TlsContexts(TlsFiles files)
    : files_(std::move(files)), stamps_(stamps()), context_(make_context(files_)) {}

std::array<FileStamp, 3> TlsContexts::stamps() const {
  const auto stamp = [](const std::string& file) { return file.empty() ? FileStamp{} : stamp_file(file); };
  return {stamp(files_.ca_file), stamp(files_.cert_file), stamp(files_.key_file)};
}

std::string TlsContexts::changed_files(const std::array<FileStamp, 3>& now) const {
  const std::string* const files[] = {&files_.ca_file, &files_.cert_file, &files_.key_file};
  std::string changed;
  for (std::size_t i = 0; i < now.size(); ++i) {
    if (now[i] != stamps_[i]) changed += (changed.empty() ? "" : ", ") + *files[i];
  }
  return changed;
}

std::shared_ptr<asio::ssl::context> TlsContexts::context() {
  const auto now = stamps();
  if (now == stamps_) return context_;
  const std::string changed = changed_files(now);
  stamps_ = now;
  try {
    context_ = make_context(files_);
    log::write(log::Level::info, log::tag::kLifecycle, "certificates were read again",
               {{"files", std::string_view(changed)}});
  } catch (const std::exception& error) {
    log::write(log::Level::error, log::tag::kLifecycle, "certificates cannot be read again; the last ones stay in use",
               {{"reason", std::string_view(error.what())}});
  }
  return context_;
}

void expect_host(SSL* connection, const std::string& host) {
  X509_VERIFY_PARAM* expected = SSL_get0_param(connection);
  X509_VERIFY_PARAM_set_hostflags(expected, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  const bool is_address = X509_VERIFY_PARAM_set1_ip_asc(expected, host.c_str()) == 1;
  ERR_clear_error();
  if (is_address) return;  // SNI does not allow an IP address (RFC 6066, 3)
  // For an empty name, OpenSSL would accept the certificate of every host.
  if (host.empty() || X509_VERIFY_PARAM_set1_host(expected, host.c_str(), host.size()) != 1 ||
      SSL_set_tlsext_host_name(connection, host.c_str()) != 1) {
    throw std::runtime_error("the certificate of the host \"" + host + "\" cannot be verified");
  }
}

std::string handshake_fault(SSL* connection, const boost::system::error_code& error) {
  const long result = SSL_get_verify_result(connection);
  if (result != X509_V_OK) {
    return std::string("the certificate does not verify: ") + X509_verify_cert_error_string(result);
  }
  return "TLS failed: " + error.message();
}

}  // namespace sealcast
