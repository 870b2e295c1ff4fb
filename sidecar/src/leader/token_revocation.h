// Token revocation: at an outside service, revokes the reader tokens of users who were banned or have lost their role.
//
// Postgres keeps the users until their tokens are revoked (sql/62_revocations.sql), and this class reads at most as
// many as one call to the service takes. So nothing is lost with a sidecar, and nothing accumulates in one.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <memory>
#include <string>
#include <vector>

#include "base/asio.h"
#include "base/backoff.h"
#include "base/metrics.h"
#include "leader/leader_loop.h"
#include "transport/tokens.h"

namespace sealcast::leader {

class TokenRevocation {
 public:
  struct Parts {
    postgres::Dsn dsn;
    std::chrono::milliseconds timeout;  // of each statement
    Metrics& metrics;
    LeaderLoop::Leads leads;
    std::unique_ptr<transport::TokenRevoker> revoker;
  };

  TokenRevocation(asio::any_io_executor executor, Parts parts);

  void start() { loop_.start(); }
  void stop();
  void read_key_again() { revoker_->read_key_again(); }

 private:
  // Revocations that are due: each id with its user.
  struct Due {
    std::vector<std::int64_t> ids;
    std::vector<std::string> users;
  };

  asio::awaitable<LeaderLoop::Milliseconds> tick(const LedShards& led);
  asio::awaitable<Due> read_due(const LedShards& led);
  asio::awaitable<void> end(const Due& due, const transport::TokenRevoker::Answer& answer);
  void log_problem(const transport::TokenRevoker::Answer& answer);

  const std::unique_ptr<transport::TokenRevoker> revoker_;
  Metrics::Revocations metrics_;
  Backoff backoff_;
  std::string problem_;  // of the last call; the log contains it already
  LeaderLoop loop_;
};

}  // namespace sealcast::leader
