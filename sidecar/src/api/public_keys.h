// The public keys that envelopes are checked with, kept for a moment: Postgres has the keyring.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <memory>
#include <string>

#include "base/asio.h"
#include "client/postgres/pool.h"

namespace sealcast::api {

class PublicKeys {
 public:
  using KeySet = std::shared_ptr<const std::string>;  // a JSON Web Key Set

  // `pool` outlives this.
  explicit PublicKeys(postgres::Pool& pool) : pool_(pool) {}

  // Throws postgres::Error when Postgres must be asked and does not answer.
  asio::awaitable<KeySet> read();

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::seconds kAge{1};

  postgres::Pool& pool_;
  KeySet known_;
  Clock::time_point fresh_until_{};
};

}  // namespace sealcast::api
