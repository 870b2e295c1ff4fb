// Tests the gate against a real Redis: rates, repeats, and the refusal of messages while Redis does not answer.
#include "message/redis_gate.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "message/gate_fixture.h"
#include "message/gate_health.h"

namespace sealcast::message {
namespace {

TEST_F(GateTest, WithoutATxnIdOnlyTheRateCounts) {
  RedisServer server;
  open(server);
  EXPECT_EQ(outcome("", 2), GateOutcome::pass);
  EXPECT_EQ(check("", 2).remaining, 0);
  EXPECT_EQ(outcome("", 2), GateOutcome::limited);
  EXPECT_EQ(outcome(txn(1), 2, kBob), GateOutcome::pass);
}

TEST_F(GateTest, ANewTxnIdPassesAndIsSeenTheSecondTime) {
  RedisServer server;
  open(server);
  const GateAnswer first = check(txn(1));
  EXPECT_EQ(first.outcome, GateOutcome::pass);
  EXPECT_EQ(first.limit, 5);
  EXPECT_EQ(first.remaining, 4);
  const GateAnswer again = check(txn(1));
  EXPECT_EQ(again.outcome, GateOutcome::seen);
  EXPECT_EQ(again.remaining, 3);
  EXPECT_EQ(outcome(txn(1), 5, kBob), GateOutcome::pass) << "the txn_id of another sender is another one";
  EXPECT_EQ(metrics_.gate_checks(to_string(GateOutcome::pass)).Value(), 2);
  EXPECT_EQ(metrics_.gate_checks(to_string(GateOutcome::seen)).Value(), 1);
}

TEST_F(GateTest, KeysHaveTheirDocumentedNamesAndExpire) {
  RedisServer server;
  open(server);
  ASSERT_EQ(outcome(txn(1)), GateOutcome::pass);
  const std::string rate = "sealcast:{" + kAlice + "}:rate:chat";
  const std::string mark = "sealcast:{" + kAlice + "}:txn:" + txn(1);
  EXPECT_EQ(server.command({"EXISTS", mark}), "1");
  const int mark_left = std::stoi(server.command({"PTTL", mark}));
  EXPECT_GT(mark_left, 880'000);
  EXPECT_LE(mark_left, 900'000);
  EXPECT_NE(server.command({"PTTL", rate}), "-1") << "a counter without expiry refuses for ever";
  EXPECT_EQ(server.command({"DBSIZE"}).size(), 1u);
}

TEST_F(GateTest, ALimitedMessageDoesNotMarkItsTxnId) {
  RedisServer server;
  open(server);
  for (int i = 0; i < 5; ++i) ASSERT_EQ(outcome(txn(i)), GateOutcome::pass);
  const GateAnswer refused = check(txn(9));
  ASSERT_EQ(refused.outcome, GateOutcome::limited);
  EXPECT_EQ(refused.remaining, 0);
  EXPECT_GT(refused.retry_after, milliseconds(0));
  EXPECT_LE(refused.retry_after, milliseconds(1000));
  EXPECT_EQ(server.command({"EXISTS", "sealcast:{" + kAlice + "}:txn:" + txn(9)}), "0");
  GateAnswer answer = refused;  // check again until the rate window has ended
  ASSERT_TRUE(test::run_until(io_, [&] { return (answer = check(txn(9))).outcome != GateOutcome::limited; }));
  EXPECT_EQ(answer.outcome, GateOutcome::pass) << "the txn_id of the refused message was marked";
  EXPECT_EQ(answer.remaining, 4) << "a new window starts from zero";
}

TEST_F(GateTest, ARepeatCountsTowardsTheRate) {
  RedisServer server;
  open(server);
  EXPECT_EQ(outcome(txn(1), 2), GateOutcome::pass);
  EXPECT_EQ(outcome(txn(1), 2), GateOutcome::seen);
  EXPECT_EQ(outcome(txn(1), 2), GateOutcome::limited);
}

TEST_F(GateTest, EachTypeOfEachSenderHasItsOwnCounter) {
  RedisServer server;
  open(server);
  EXPECT_EQ(outcome(txn(1), 1), GateOutcome::pass);
  EXPECT_EQ(outcome(txn(2), 1), GateOutcome::limited);
  EXPECT_EQ(outcome(txn(2), 1, kAlice, "reaction"), GateOutcome::pass);
  EXPECT_EQ(outcome(txn(2), 1, kBob), GateOutcome::pass);
  EXPECT_EQ(outcome(txn(3), 1, kAlice, std::string(kUnknownType)), GateOutcome::pass);
  EXPECT_EQ(outcome(txn(4), 1, kAlice, std::string(kUnknownType)), GateOutcome::limited);
}

TEST_F(GateTest, InSlowModeASenderWaitsBetweenTwoMessages) {
  RedisServer server;
  open(server);
  EXPECT_EQ(slowed_check(txn(1)).outcome, GateOutcome::pass);
  const GateAnswer second = slowed_check(txn(2));
  EXPECT_EQ(second.outcome, GateOutcome::slowed);
  EXPECT_GT(second.retry_after, milliseconds(20'000));
  EXPECT_LE(second.retry_after, milliseconds(30'000));
  EXPECT_EQ(slowed_check(txn(2), kStream, "reaction").outcome, GateOutcome::slowed) << "all types wait together";
  EXPECT_EQ(slowed_check(txn(1)).outcome, GateOutcome::seen) << "a retry does not wait";
  EXPECT_EQ(slowed_check(txn(3), "99999999-2222-4333-8444-555555555555").outcome, GateOutcome::pass)
      << "another stream";
  EXPECT_EQ(outcome(txn(4), 9), GateOutcome::pass) << "a message that is not slowed";
  const std::string pause = "sealcast:{" + kAlice + "}:slow:" + kStream;
  server.command({"PERSIST", pause});
  EXPECT_EQ(test::await(io_, gate_->check({kAlice, "chat", txn(2), 9, kStream, std::chrono::seconds(30)})).outcome,
            GateOutcome::slowed);
  EXPECT_NE(server.command({"PTTL", pause}), "-1") << "a key without expiry refuses for ever";
  server.command({"DEL", pause});
  EXPECT_EQ(test::await(io_, gate_->check({kAlice, "chat", txn(2), 9, kStream, std::chrono::seconds(30)})).outcome,
            GateOutcome::pass)
      << "the txn_id of the slowed message was marked";
}

TEST_F(GateTest, ATxnIdThatWasMarkedElsewhereWaitsToo) {
  RedisServer server;
  open(server);
  EXPECT_EQ(slowed_check(txn(1)).outcome, GateOutcome::pass);
  EXPECT_EQ(outcome(txn(2), 5, kAlice, std::string(kUnknownType)), GateOutcome::pass) << "marks the txn_id";
  EXPECT_EQ(slowed_check(txn(2)).outcome, GateOutcome::slowed);
  EXPECT_EQ(slowed_check(txn(1), "99999999-2222-4333-8444-555555555555").outcome, GateOutcome::seen)
      << "begins a pause";
  EXPECT_EQ(slowed_check(txn(3), "99999999-2222-4333-8444-555555555555").outcome, GateOutcome::slowed);
}

TEST_F(GateTest, AShorterSlowModeShortensThePause) {
  RedisServer server;
  open(server);
  EXPECT_EQ(slowed_check(txn(1)).outcome, GateOutcome::pass);
  const GateAnswer shorter =
      test::await(io_, gate_->check({kAlice, "chat", txn(2), 5, kStream, std::chrono::seconds(3)}));
  EXPECT_EQ(shorter.outcome, GateOutcome::slowed);
  EXPECT_LE(shorter.retry_after, milliseconds(3'000));
}

TEST_F(GateTest, AMessageAboveItsRateBeginsNoPause) {
  RedisServer server;
  open(server);
  for (int i = 0; i < 5; ++i) ASSERT_EQ(outcome(txn(i)), GateOutcome::pass);
  EXPECT_EQ(slowed_check(txn(9)).outcome, GateOutcome::limited);
  EXPECT_EQ(server.command({"EXISTS", "sealcast:{" + kAlice + "}:slow:" + kStream}), "0");
}

TEST_F(GateTest, ACounterWithoutExpiryGetsOneAtTheLimit) {
  RedisServer server;
  open(server);
  const std::string rate = "sealcast:{" + kAlice + "}:rate:chat";
  server.command({"SET", rate, "100"});
  EXPECT_EQ(outcome(txn(1)), GateOutcome::limited);
  EXPECT_NE(server.command({"PTTL", rate}), "-1");
}

TEST_F(GateTest, AScriptThatRedisDoesNotKnowIsSentAgain) {
  RedisServer server;
  open(server);
  EXPECT_EQ(outcome(txn(1)), GateOutcome::pass);
  EXPECT_EQ(server.command({"SCRIPT", "FLUSH"}), "OK");
  EXPECT_EQ(outcome(txn(2)), GateOutcome::pass);
  EXPECT_EQ(outcome(txn(2)), GateOutcome::seen);
  const std::string stats = server.command({"INFO", "commandstats"});
  EXPECT_NE(stats.find("cmdstat_eval:calls=2,"), std::string::npos) << "the script is sent only if it is missing";
}

TEST_F(GateTest, WithoutRedisChecksAreRefusedUntilItIsBack) {
  RedisServer server;
  open(server);
  EXPECT_EQ(outcome(txn(1)), GateOutcome::pass);
  EXPECT_TRUE(gate_->ready());
  server.stop();
  ASSERT_TRUE(test::run_until(io_, [&] { return !gate_->ready(); }));
  const GateAnswer refused = check(txn(2));
  EXPECT_EQ(refused.outcome, GateOutcome::unavailable);
  EXPECT_GT(refused.retry_after, milliseconds(0));
  EXPECT_GE(metrics_.gate_checks(to_string(GateOutcome::unavailable)).Value(), 1);
  server.start();
  ASSERT_TRUE(test::run_until(io_, [&] { return gate_->ready(); }));
  EXPECT_EQ(outcome(txn(2)), GateOutcome::pass);
}

TEST_F(GateTest, AFrozenRedisMeansRefusedAtTheDeadline) {
  RedisServer server;
  settings_.timeout = milliseconds(100);
  open(server);
  ASSERT_EQ(outcome(txn(1)), GateOutcome::pass);
  server.freeze();
  const auto began = redis::Clock::now();
  EXPECT_EQ(outcome(txn(2)), GateOutcome::unavailable);
  const auto waited = redis::Clock::now() - began;
  EXPECT_GE(waited, milliseconds(100));
  EXPECT_LT(waited, milliseconds(1000));
  EXPECT_FALSE(gate_->ready());
  server.thaw();
  ASSERT_TRUE(test::run_until(io_, [&] { return outcome(txn(3)) != GateOutcome::unavailable; }));
}

TEST_F(GateTest, WithAWrongPasswordChecksAreRefused) {
  RedisServer server({"--requirepass", "right"});
  redis::Options options = server.options();
  options.password = Secret("wrong");
  settings_.timeout = milliseconds(200);
  client_ = std::make_unique<redis::Client>(io_.get_executor(), options);
  client_->start();
  gate_ = std::make_unique<RedisGate>(*client_, metrics_, settings_);
  EXPECT_EQ(outcome(txn(1)), GateOutcome::unavailable);
  EXPECT_FALSE(gate_->ready());
}

TEST_F(GateTest, TenThousandConcurrentChecksAreAllAnswered) {
  RedisServer server;
  open(server);
  constexpr int kChecks = 10'000;
  std::map<GateOutcome, int> outcomes;
  int done = 0;
  for (int i = 0; i < kChecks; ++i) {
    const std::string sender = txn(i % 1000);  // 1000 senders with ten checks each; the limit is five
    asio::co_spawn(io_, gate_->check({sender, "chat", txn(i), 5}), [&](std::exception_ptr, GateAnswer answer) {
      ++outcomes[answer.outcome];
      ++done;
    });
  }
  ASSERT_TRUE(test::run_until(io_, [&] { return done == kChecks; }));
  EXPECT_EQ(outcomes[GateOutcome::unavailable], 0);
  EXPECT_GE(outcomes[GateOutcome::pass], 5000);  // more than 5000 if a rate window ended during the checks
  EXPECT_EQ(outcomes[GateOutcome::pass] + outcomes[GateOutcome::limited], kChecks);
}

TEST_F(GateTest, WhileRedisIsOutOfMemoryChecksAreRefused) {
  RedisServer server({"--maxmemory-policy", "noeviction"});
  open(server);
  server.command({"SET", "ballast", std::string(2 * 1024 * 1024, 'x')});
  server.command({"CONFIG", "SET", "maxmemory", "1mb"});
  EXPECT_EQ(outcome(txn(1)), GateOutcome::unavailable);
  EXPECT_EQ(server.command({"EXISTS", "sealcast:{" + kAlice + "}:rate:chat"}), "0");
  server.command({"DEL", "ballast"});
  server.command({"CONFIG", "SET", "maxmemory", "0"});
  EXPECT_EQ(outcome(txn(1)), GateOutcome::pass);
}

TEST_F(GateTest, OnAReplicaChecksAreRefusedUntilItIsPromoted) {
  RedisServer primary;
  RedisServer replica({"--replicaof", "127.0.0.1", std::to_string(primary.port())});
  ASSERT_TRUE(test::run_until(io_, [&] {
    return replica.command({"INFO", "replication"}).find("master_link_status:up") != std::string::npos;
  }));
  open(replica);
  EXPECT_EQ(outcome(txn(1)), GateOutcome::unavailable);
  EXPECT_EQ(primary.command({"DBSIZE"}), "0");
  EXPECT_TRUE(test::run_until(io_, [&] { return !gate_->ready(); }))
      << "the host name may resolve to the new primary by now";
  EXPECT_EQ(replica.command({"REPLICAOF", "NO", "ONE"}), "OK");
  ASSERT_TRUE(test::run_until(io_, [&] { return outcome(txn(1)) == GateOutcome::pass; }));
}

TEST_F(GateTest, WhileRedisLoadsChecksAreRefused) {
  RedisServer server(
      {"--loading-process-events-interval-bytes", "1024", "--key-load-delay", "20000", "--save", "100000 100000"});
  open(server);
  for (int i = 0; i < 200; ++i) server.command({"SET", txn(i), "x"});
  server.command({"SAVE"});
  client_->stop();
  server.stop();
  server.start();  // for about four seconds Redis answers LOADING
  ASSERT_EQ(server.command({"GET", "x"}).substr(0, 7), "LOADING");
  redis::Options options = server.options();
  settings_.timeout = milliseconds(500);
  options.timeout = settings_.timeout;
  client_ = std::make_unique<redis::Client>(io_.get_executor(), options);
  client_->start();
  gate_ = std::make_unique<RedisGate>(*client_, metrics_, settings_);
  EXPECT_EQ(outcome(txn(1)), GateOutcome::unavailable);
  EXPECT_FALSE(gate_->ready());
  ASSERT_TRUE(test::run_until(io_, [&] { return outcome(txn(1)) == GateOutcome::pass; }));
}

TEST_F(GateTest, WithARateKeyOfAnotherKindChecksAreRefused) {
  RedisServer server;
  open(server);
  server.command({"LPUSH", "sealcast:{" + kAlice + "}:rate:chat", "x"});
  EXPECT_EQ(outcome(txn(1)), GateOutcome::unavailable);
  EXPECT_EQ(outcome(txn(1), 5, kBob), GateOutcome::pass);
}

TEST_F(GateTest, HealthSaysWhenRedisRefusesWrites) {
  RedisServer server;
  open(server);
  GateHealth health(io_.get_executor(), *client_, *gate_);
  EXPECT_EQ(health.problem(), "Redis was not checked yet");
  health.start();
  ASSERT_TRUE(test::run_until(io_, [&] { return health.problem().empty(); })) << health.problem();
  EXPECT_EQ(server.command({"CONFIG", "SET", "maxmemory", "1"}), "OK");
  ASSERT_TRUE(test::run_until(io_, [&] { return health.problem().starts_with("OOM"); })) << health.problem();
  server.command({"CONFIG", "SET", "maxmemory", "0"});
  ASSERT_TRUE(test::run_until(io_, [&] { return health.problem().empty(); })) << health.problem();
  EXPECT_EQ(metrics_.gate_checks(to_string(GateOutcome::pass)).Value(), 0) << "these checks are not messages";
  server.stop();
  ASSERT_TRUE(test::run_until(io_, [&] { return health.problem() == "no connection"; })) << health.problem();
  health.stop();
}

TEST(GateOptionsTest, TheOptionsComeFromTheSettings) {
  test::Scratch scratch;
  config::Settings::Gate settings{};
  settings.redis_url = "rediss://gate@cache:7000/2";
  settings.redis_password_file = scratch.write("password", "secret\n");
  settings.redis_sentinel_password_file = scratch.write("sentinels", "other\n");
  settings.redis_ca_file = "/ca.pem";
  settings.redis_cert_file = "/cert.pem";
  settings.redis_key_file = "/key.pem";
  settings.timeout = milliseconds(70);
  settings.max_waiting = 9;
  const redis::Options options = gate_redis_options(settings);
  EXPECT_TRUE(options.tls);
  EXPECT_EQ(options.user, "gate");
  EXPECT_EQ(options.password.text(), "secret");
  EXPECT_EQ(options.sentinel_password.text(), "other");
  EXPECT_EQ(options.tls_files.ca_file, "/ca.pem");
  EXPECT_EQ(options.tls_files.cert_file, "/cert.pem");
  EXPECT_EQ(options.tls_files.key_file, "/key.pem");
  EXPECT_EQ(options.database, 2);
  EXPECT_EQ(options.timeout, milliseconds(70));
  EXPECT_EQ(options.max_waiting, 9u);
}

}  // namespace
}  // namespace sealcast::message
