// At each tick: reads the revocations that are due, calls the service once for all of them, and ends those that it has
// done, and those that it can never do.
#include "leader/token_revocation.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "client/postgres/params.h"

namespace sealcast::leader {
namespace {

using Milliseconds = LeaderLoop::Milliseconds;

constexpr char kDue[] = "select revocation_id, user_id from sealcast_internal.due_revocations($1, $2)";
constexpr char kEnd[] = "select sealcast_internal.end_revocations($1)";
constexpr Milliseconds kLongestPause{60'000};

}  // namespace

TokenRevocation::TokenRevocation(asio::any_io_executor executor, Parts parts)
    : revoker_(std::move(parts.revoker)),
      metrics_(parts.metrics.revocations()),
      backoff_(LeaderLoop::kSecond, kLongestPause),
      loop_(executor, {.dsn = std::move(parts.dsn),
                       .name = "token revocation",
                       .timeout = parts.timeout,
                       .log_tag = log::tag::kDelivery,
                       .failure = "Postgres refused to read or end the revocations of tokens; retrying",
                       .leads = std::move(parts.leads),
                       .tick = [this](const LedShards& led) { return tick(led); }}) {}

void TokenRevocation::stop() {
  revoker_->stop();
  loop_.stop();
}

asio::awaitable<Milliseconds> TokenRevocation::tick(const LedShards& led) {
  if (led.shards.empty()) co_return LeaderLoop::kSecond;
  const Due due = co_await read_due(led);
  if (due.ids.empty()) co_return LeaderLoop::kSecond;
  const transport::TokenRevoker::Answer answer = co_await revoker_->revoke(due.users);
  log_problem(answer);
  co_await end(due, answer);
  if (answer.may_retry()) {
    co_return std::max(backoff_.next(LeaderLoop::kSecond), answer.retry_after);
  }
  backoff_.reset();
  co_return due.ids.size() < revoker_->max_users() ? LeaderLoop::kSecond : Milliseconds(0);
}

asio::awaitable<TokenRevocation::Due> TokenRevocation::read_due(const LedShards& led) {
  postgres::Params params;
  params.add_array(postgres::oid::kIntegerArray, postgres::oid::kInteger, led.shards);
  params.add(static_cast<std::int32_t>(revoker_->max_users()));
  const postgres::Result rows = co_await loop_.connection().query(kDue, params);
  Due due;
  for (int row = 0; row < rows.size(); ++row) {
    due.ids.push_back(rows.integer(row, 0));
    due.users.push_back(rows.uuid(row, 1));
  }
  co_return due;
}

asio::awaitable<void> TokenRevocation::end(const Due& due, const transport::TokenRevoker::Answer& answer) {
  std::vector<std::int64_t> ended;
  for (std::size_t i = 0; i < due.ids.size(); ++i) {
    const bool revoked = answer.revoked[i], possible = answer.possible[i];
    (revoked ? metrics_.revoked : possible ? metrics_.failed : metrics_.impossible).Increment();
    if (revoked || !possible) ended.push_back(due.ids[i]);
  }
  if (ended.empty()) co_return;
  postgres::Params params;
  params.add_array(postgres::oid::kBigintArray, postgres::oid::kBigint, ended);
  co_await loop_.connection().query(kEnd, params);
}

void TokenRevocation::log_problem(const transport::TokenRevoker::Answer& answer) {
  if (std::exchange(problem_, answer.problem) == answer.problem) return;
  if (answer.problem.empty()) {
    log::write(log::Level::info, log::tag::kDelivery, "the tokens of users who lost their rights are revoked again");
  } else if (answer.may_retry()) {
    log::write(log::Level::warn, log::tag::kDelivery,
               "the tokens of users who lost their rights are not revoked; retrying",
               {{"reason", std::string_view(answer.problem)}});
  } else {
    log::write(log::Level::warn, log::tag::kDelivery,
               "the service cannot revoke tokens, so a user who loses a right reads on until the token expires; for "
               "Ably, turn on \"Revocable tokens\" of the API key that signs readers' tokens",
               {{"reason", std::string_view(answer.problem)}});
  }
}

}  // namespace sealcast::leader
