// Tests how the gate counts copies of a text against a real Redis: by one user, and by many.
#include "message/gate_fixture.h"

namespace sealcast::message {
namespace {

TEST_F(GateTest, AUserRepeatsNoText) {
  RedisServer server;
  open(server);
  EXPECT_EQ(unique_check(txn(1), "aa").outcome, GateOutcome::pass);
  const GateAnswer again = unique_check(txn(2), "aa");
  EXPECT_EQ(again.outcome, GateOutcome::repeated);
  EXPECT_GT(again.retry_after, milliseconds(20'000));
  EXPECT_LE(again.retry_after, milliseconds(30'000));
  EXPECT_EQ(unique_check(txn(1), "aa").outcome, GateOutcome::seen) << "a retry repeats no text";
  EXPECT_EQ(unique_check(txn(3), "bb").outcome, GateOutcome::pass) << "another text";
  EXPECT_EQ(unique_check(txn(4), "").outcome, GateOutcome::pass) << "a text that is not counted";
  EXPECT_EQ(unique_check(txn(5), "").outcome, GateOutcome::pass);
  EXPECT_EQ(unique_check(txn(1), "aa", kBob).outcome, GateOutcome::pass) << "another user";
  const std::string key = "sealcast:{" + kAlice + "}:text:" + kStream + ":aa";
  server.command({"PERSIST", key});
  EXPECT_EQ(unique_check(txn(2), "aa").outcome, GateOutcome::repeated);
  EXPECT_NE(server.command({"PTTL", key}), "-1") << "a key without expiry refuses for ever";
  server.command({"DEL", key});
  EXPECT_EQ(unique_check(txn(2), "aa").outcome, GateOutcome::pass) << "the txn_id of the refused message was marked";
}

TEST_F(GateTest, ARepeatedTextBeginsNoPause) {
  RedisServer server;
  open(server);
  const StreamLimits both{std::chrono::seconds(30), std::chrono::seconds(60)};
  EXPECT_EQ(unique_check(txn(1), "aa", kAlice, both).outcome, GateOutcome::pass);
  const std::string pause = "sealcast:{" + kAlice + "}:slow:" + kStream;
  EXPECT_EQ(unique_check(txn(2), "bb", kAlice, both).outcome, GateOutcome::slowed);
  EXPECT_EQ(server.command({"EXISTS", "sealcast:{" + kAlice + "}:text:" + kStream + ":bb"}), "0")
      << "a message that must wait has sent no text";
  server.command({"DEL", pause});
  EXPECT_EQ(unique_check(txn(3), "aa", kAlice, both).outcome, GateOutcome::repeated);
  EXPECT_EQ(server.command({"EXISTS", pause}), "0");
  EXPECT_EQ(unique_check(txn(1), "aa", kAlice, both).outcome, GateOutcome::seen);
}

TEST_F(GateTest, OnlySoManyUsersSendTheSameText) {
  RedisServer server;
  open(server);
  const std::string carol = txn(77);
  EXPECT_EQ(raid_check(txn(1), "aa", kAlice).outcome, GateOutcome::pass);
  EXPECT_EQ(raid_check(txn(2), "aa", kAlice).outcome, GateOutcome::pass) << "the same user is no second copy";
  EXPECT_EQ(raid_check(txn(1), "aa", kBob).outcome, GateOutcome::pass);
  const GateAnswer third = raid_check(txn(1), "aa", carol);
  EXPECT_EQ(third.outcome, GateOutcome::copied);
  EXPECT_GT(third.retry_after, milliseconds(20'000));
  EXPECT_LE(third.retry_after, milliseconds(30'000));
  EXPECT_EQ(metrics_.gate_checks(to_string(GateOutcome::copied)).Value(), 1);
  EXPECT_EQ(raid_check(txn(1), "aa", kBob).outcome, GateOutcome::seen) << "a retry of an earlier user";
  EXPECT_EQ(raid_check(txn(2), "bb", carol).outcome, GateOutcome::pass) << "another text";
  EXPECT_EQ(raid_check(txn(3), "", carol).outcome, GateOutcome::pass) << "a text that is not counted";
  const std::string users = "sealcast:{" + kStream + "}:copies:aa";
  EXPECT_EQ(server.command({"SCARD", users}), "2") << "a refused user needs no memory";
  server.command({"PERSIST", users});
  EXPECT_EQ(raid_check(txn(4), "aa", carol).outcome, GateOutcome::copied);
  EXPECT_NE(server.command({"PTTL", users}), "-1") << "a set without expiry refuses for ever";
  server.command({"DEL", users});
  EXPECT_EQ(raid_check(txn(1), "aa", carol).outcome, GateOutcome::seen) << "passes after the time";
}

TEST_F(GateTest, WithACopiesKeyOfAnotherKindChecksAreRefused) {
  RedisServer server;
  open(server);
  server.command({"SET", "sealcast:{" + kStream + "}:copies:aa", "x"});
  EXPECT_EQ(raid_check(txn(1), "aa", kAlice).outcome, GateOutcome::unavailable);
  EXPECT_EQ(raid_check(txn(2), "bb", kAlice).outcome, GateOutcome::pass);
}

}  // namespace
}  // namespace sealcast::message
