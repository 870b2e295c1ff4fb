// Reads message types and roles from Postgres, for the gate's caches.
#pragma once

#include <string>
#include <vector>

#include "base/asio.h"
#include "client/postgres/pool.h"
#include "message/limits.h"

namespace sealcast::message {

// The gate's caches, read from Postgres.
class PostgresLimits final : public LimitsSource {
 public:
  explicit PostgresLimits(postgres::Pool& pool) : pool_(pool) {}
  asio::awaitable<std::vector<TypeRow>> gate_limits() override;
  asio::awaitable<std::vector<std::string>> roles_of(std::vector<Membership> memberships) override;

 private:
  postgres::Pool& pool_;
};

}  // namespace sealcast::message
