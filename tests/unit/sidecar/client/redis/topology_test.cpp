// Tests the parsers of redirections, of the replies of sentinels and of ROLE, and of the errors of replicas.
#include "client/redis/topology.h"

#include <gtest/gtest.h>
#include <hiredis/read.h>

#include <string>

namespace sealcast::client::redis {
namespace {

const Address kAnswering{"home", 7000};

ReplyPtr reply(std::string_view bytes) {
  const std::unique_ptr<redisReader, decltype(&redisReaderFree)> reader(redisReaderCreate(), redisReaderFree);
  redisReaderFeed(reader.get(), bytes.data(), bytes.size());
  void* out = nullptr;
  redisReaderGetReply(reader.get(), &out);
  return ReplyPtr(static_cast<redisReply*>(out));
}

TEST(RedisTopologyTest, ParsesMovedAndAsk) {
  const auto moved = parse_redirection("MOVED 3999 10.0.0.2:6381", kAnswering);
  ASSERT_TRUE(moved);
  EXPECT_FALSE(moved->ask);
  EXPECT_EQ(moved->slot, 3999U);
  EXPECT_EQ(moved->address.text(), "10.0.0.2:6381");
  const auto ask = parse_redirection("ASK 1 :6381", kAnswering);
  ASSERT_TRUE(ask);
  EXPECT_TRUE(ask->ask);
  EXPECT_EQ(ask->address.text(), "home:6381");
  EXPECT_EQ(parse_redirection("MOVED 1 ::1:6381", kAnswering)->address.text(), "[::1]:6381");
  EXPECT_FALSE(parse_redirection("ASK 1 :6381", Address{{}, 0, "/run/redis.sock"})) << "a socket has no host";
  for (const char* text :
       {"", "MOVED", "MOVED 1", "MOVED 1 h", "MOVED 16384 h:1", "MOVED x h:1", "MOVED 1x h:1", "MOVED 1 h:65536",
        "MOVED 1 h:1x", "MOVED 1 h:0", "MOVED 1 a b:1", "MOVED 1 /run/s:1", "ERR MOVED 1 h:1"}) {
    EXPECT_FALSE(parse_redirection(text, kAnswering)) << text;
  }
}

TEST(RedisTopologyTest, ParsesTheMasterThatASentinelNames) {
  EXPECT_EQ(parse_master(reply("*2\r\n$8\r\n10.0.0.2\r\n$4\r\n6381\r\n").get())->text(), "10.0.0.2:6381");
  for (const char* bytes :
       {"*-1\r\n", "*0\r\n", "*1\r\n$1\r\nh\r\n", "*2\r\n$1\r\nh\r\n$1\r\n0\r\n", "*2\r\n$0\r\n\r\n$1\r\n1\r\n",
        "*2\r\n$1\r\n/\r\n$1\r\n1\r\n", "*2\r\n$1\r\nh\r\n:1\r\n", "+OK\r\n", "-ERR no\r\n"}) {
    EXPECT_FALSE(parse_master(reply(bytes).get())) << bytes;
  }
  EXPECT_FALSE(parse_master(nullptr));
}

TEST(RedisTopologyTest, RecognisesReplicas) {
  EXPECT_TRUE(says_replica(reply("*1\r\n$5\r\nslave\r\n").get()));
  EXPECT_FALSE(says_replica(reply("*1\r\n$6\r\nmaster\r\n").get()));
  EXPECT_FALSE(says_replica(reply("+OK\r\n").get()));
  EXPECT_TRUE(refuses_as_replica("READONLY You can't write against a read only replica."));
  EXPECT_TRUE(refuses_as_replica(  // Redis 6.2, from a script
      "ERR Error running script (call to f_0123): @user_script:2: @user_script: 2: -READONLY You can't write against a "
      "read only replica."));
  EXPECT_FALSE(refuses_as_replica("ERR unknown command 'READONLY '"));
  EXPECT_TRUE(unblocked_as_replica(
      "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)"));
  EXPECT_FALSE(unblocked_as_replica("UNBLOCKED client unblocked via CLIENT UNBLOCK"));
}

}  // namespace
}  // namespace sealcast::client::redis
