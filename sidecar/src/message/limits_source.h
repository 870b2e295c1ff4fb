// The source of the data that Limits caches: message types with their sizes and rates, the rules of streams,
// and the roles of users.
#pragma once

#include <string>
#include <vector>

#include "base/asio.h"
#include "client/postgres/pool.h"
#include "message/gate.h"

namespace sealcast::message {

// One row of sealcast_internal.gate_limits().
struct TypeRow {
  std::string t;
  int max_bytes;
  int rate;                // messages per second of one sender
  std::string role_rates;  // JSON object {"role": messages per second}
  bool system_only;
  int tier;  // 0 to 2 (docs/sampling.md)
};

// One row of sealcast_internal.gate_rules().
struct RuledStream {
  std::string stream_id;  // lower-case UUID
  StreamLimits limits{};
  std::string rate = "{}";  // JSON object {"type": messages per second of one sender}
};

struct Membership {
  std::string stream_id;
  std::string user_id;
};

// All functions throw if Postgres does not answer or refuses the statement.
class LimitsSource {
 public:
  virtual ~LimitsSource() = default;
  virtual asio::awaitable<std::vector<TypeRow>> gate_limits() = 0;
  virtual asio::awaitable<std::vector<RuledStream>> gate_rules() = 0;
  // Returns one role per membership, in the same order. The role is empty if the user has no role in the stream.
  virtual asio::awaitable<std::vector<std::string>> roles_of(std::vector<Membership> memberships) = 0;
};

class PostgresLimits final : public LimitsSource {
 public:
  explicit PostgresLimits(postgres::Pool& pool) : pool_(pool) {}
  asio::awaitable<std::vector<TypeRow>> gate_limits() override;
  asio::awaitable<std::vector<RuledStream>> gate_rules() override;
  asio::awaitable<std::vector<std::string>> roles_of(std::vector<Membership> memberships) override;

 private:
  postgres::Pool& pool_;
};

}  // namespace sealcast::message
