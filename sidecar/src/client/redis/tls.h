// The TLS contexts of a client, for its servers and its sentinels.
#pragma once

#include <boost/asio/ssl/context.hpp>
#include <memory>

#include "base/asio.h"
#include "base/ca_file.h"
#include "client/redis/options.h"

namespace sealcast::client::redis {

using TlsContexts = CaFile<asio::ssl::context>;

// Returns null for plain TCP. Throws std::runtime_error when the CA file cannot be used.
std::shared_ptr<TlsContexts> make_tls(const Options& options);

}  // namespace sealcast::client::redis
