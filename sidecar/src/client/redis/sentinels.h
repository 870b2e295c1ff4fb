// Asks the sentinels of the settings for the address of the current master.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstddef>
#include <memory>
#include <optional>

#include "base/asio.h"
#include "base/tls.h"
#include "client/redis/options.h"

namespace sealcast::client::redis {

class Link;

class Sentinels {
 public:
  // `tls` is null for plain TCP.
  Sentinels(asio::any_io_executor executor, Options options, std::shared_ptr<TlsContexts> tls);
  ~Sentinels();

  // Asks one sentinel after another until one names a master. Each call begins with the next sentinel, since the last
  // one may name a server that is a master no more. Throws std::runtime_error with the reason of each sentinel.
  asio::awaitable<Address> master();

  // Returns whether two sentinels, asked in two consecutive calls, name a server other than `address`. One sentinel
  // alone may be behind the others. A sentinel that does not answer names none.
  asio::awaitable<bool> names_another(const Address& address);
  void stop();  // makes master() fail

 private:
  asio::awaitable<std::optional<Address>> ask(const std::shared_ptr<Link>& link, const Address& sentinel);
  const Address& next_sentinel();

  asio::any_io_executor executor_;
  const Options options_;
  std::shared_ptr<TlsContexts> tls_;
  std::shared_ptr<Link> link_;  // of the latest question
  std::size_t next_;
  std::optional<Address> other_;  // the other server that the sentinel named in the last call of names_another()
  bool stopped_ = false;
};

}  // namespace sealcast::client::redis
