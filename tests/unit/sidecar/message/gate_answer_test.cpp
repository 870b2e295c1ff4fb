// Tests the decoding of replies of the gate's script, the lines of the gate socket, and the parsing of its checks.
#include "message/gate_answer.h"

#include <gtest/gtest.h>

#include <limits>

#include "message/gate_check.h"

namespace sealcast::message {
namespace {

constexpr char kSender[] = "0190D000-0000-7000-8000-00000000000A";
constexpr char kStream[] = "0190d000-0000-7000-8000-000000000001";
constexpr char kTxn[] = "0190d000-0000-7000-8000-0000000000f1";

std::string line_of(long long number, int type = REDIS_REPLY_INTEGER) {
  redisReply reply{};
  reply.type = type;
  reply.integer = number;
  GateAnswer answer{GateOutcome::unavailable, 5, 0, std::chrono::milliseconds(1000)};
  const bool read = read_answer(reply, answer);
  EXPECT_EQ(read, answer.outcome != GateOutcome::unavailable);
  EXPECT_GE(answer.remaining, 0);
  EXPECT_LE(answer.remaining, 5);
  return to_line(answer);
}

TEST(GateAnswer, EachOutcomeIsDecodedFromTheScriptsNumber) {
  EXPECT_EQ(line_of(8 * 1 + 0), "pass\n");
  EXPECT_EQ(line_of(8 * 9 + 1), "seen\n");
  EXPECT_EQ(line_of(8 * 250 + 2), "limited 250 5\n");
  EXPECT_EQ(line_of(8 * 12'000 + 3), "slowed 12000\n");
  EXPECT_EQ(line_of(8 * 12'000 + 4), "repeated 12000\n");
  EXPECT_EQ(line_of(8 * 12'000 + 5), "copied 12000\n");
}

TEST(GateAnswer, AnUnexpectedReplyMeansUnavailable) {
  for (const long long number : {6LL, 8 * 9 + 7LL, -3LL, -1LL, -2LL, -4LL, std::numeric_limits<long long>::min()}) {
    EXPECT_EQ(line_of(number), "unavailable 1000\n") << number;
  }
  EXPECT_EQ(line_of(0, REDIS_REPLY_STRING), "unavailable 1000\n");
}

TEST(GateCheck, ASixthWordIsTheHashOfTheText) {
  const std::string line = std::string("check ") + kSender + " " + kStream + " chat " + kTxn;
  const std::string hash = "0123456789abcdef0123456789abcdef";
  EXPECT_EQ(parse_check(line)->text, std::nullopt);
  EXPECT_EQ(parse_check(line + " -")->text, "");
  EXPECT_EQ(parse_check(line + " " + hash)->text, hash);
  for (const std::string& word : {std::string(), std::string("x"), hash + "0", "g" + hash.substr(1), hash + " -"}) {
    EXPECT_FALSE(parse_check(line + " " + word)) << word;
  }
}

TEST(GateCheck, OnlyALineOfFiveValidWordsIsACheck) {
  const auto check = parse_check(std::string("check ") + kSender + " " + kStream + " gift.big_1-x " + kTxn);
  ASSERT_TRUE(check);
  EXPECT_EQ(check->sender_id, "0190d000-0000-7000-8000-00000000000a");
  EXPECT_EQ(check->stream_id, kStream);
  EXPECT_EQ(check->t, "gift.big_1-x");
  EXPECT_EQ(check->txn_id, kTxn);
  const std::string ids = std::string(kSender) + " " + kStream;
  for (const std::string& line :
       {std::string(), "check " + ids + " chat", "check " + ids + "  " + kTxn, "check " + ids + " Chat " + kTxn,
        "check " + ids + " chat " + kTxn + " ", "ask " + ids + " chat " + kTxn, "check " + ids + " chat x",
        "check " + ids + " " + std::string(65, 'a') + " " + kTxn, std::string(kMaxCheckBytes + 1, 'a')}) {
    EXPECT_FALSE(parse_check(line)) << line;
  }
}

}  // namespace
}  // namespace sealcast::message
