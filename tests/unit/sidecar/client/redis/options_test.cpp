// Tests the parser of Redis URLs.
#include "client/redis/options.h"

#include <gtest/gtest.h>

#include <stdexcept>

namespace sealcast::client::redis {
namespace {

std::string seeds_of(const Options& options) {
  std::string text;
  for (const Address& seed : options.seeds) text += (text.empty() ? "" : " ") + seed.text();
  return text;
}

TEST(RedisUrlTest, OneServer) {
  Options options = parse_url("redis://localhost");
  EXPECT_EQ(seeds_of(options), "localhost:6379");
  EXPECT_FALSE(options.tls);
  EXPECT_FALSE(options.needs_cluster());
  EXPECT_EQ(options.database, 0);
  options = parse_url("rediss://us%40er:p%3Aw@[::1]:7000/12");
  EXPECT_TRUE(options.tls);
  EXPECT_EQ(options.user, "us@er");
  EXPECT_EQ(options.password.text(), "p:w");
  EXPECT_EQ(seeds_of(options), "[::1]:7000");
  EXPECT_EQ(options.database, 12);
  EXPECT_EQ(parse_url("redis://:secret@h/").password.text(), "secret");
  EXPECT_EQ(parse_url("redis://a,b@h").user, "a,b");
}

TEST(RedisUrlTest, SeedsOfACluster) {
  const Options options = parse_url("rediss://me@a:7001,b,[::1]:7003/0");
  EXPECT_EQ(seeds_of(options), "a:7001 b:6379 [::1]:7003");
  EXPECT_TRUE(options.needs_cluster());
  EXPECT_TRUE(options.tls);
  EXPECT_EQ(options.user, "me");
}

TEST(RedisUrlTest, Sentinels) {
  Options options = parse_url("redis+sentinel://me:pw@s1,s2:5000,s3/my-master.1/3");
  EXPECT_EQ(seeds_of(options), "s1:26379 s2:5000 s3:26379");
  EXPECT_EQ(options.sentinel_master, "my-master.1");
  EXPECT_EQ(options.database, 3);
  EXPECT_EQ(options.user, "me");
  EXPECT_EQ(options.password.text(), "pw");
  EXPECT_FALSE(options.needs_cluster());
  options = parse_url("rediss+sentinel://s1/m");
  EXPECT_TRUE(options.tls);
  EXPECT_EQ(options.database, 0);
}

TEST(RedisUrlTest, UnixSocket) {
  Options options = parse_url("unix:///run/redis/redis.sock?db=4");
  EXPECT_EQ(seeds_of(options), "/run/redis/redis.sock");
  EXPECT_EQ(options.database, 4);
  options = parse_url("unix://me:pw@/run/r");
  EXPECT_EQ(options.user, "me");
  EXPECT_EQ(options.password.text(), "pw");
  EXPECT_EQ(options.database, 0);
}

TEST(RedisUrlTest, RefusesAllOthers) {
  for (const char* bad : {"",
                          "redis:/h",
                          "http://h",
                          "redis://",
                          "redis://:0",
                          "redis://h:70000",
                          "redis://h/db",
                          "redis://h:1x",
                          "redis://%4@h",
                          "redis://[::1",
                          "redis://[::1]x",
                          "redis://[::1]x:1",
                          "redis://[::1]x1",
                          "redis://[]",
                          "redis://[[::1]",
                          "redis://h]",
                          "redis://::1",
                          "redis://a,",
                          "redis://,a",
                          "redis://a,,b",
                          "redis://a,a",
                          "redis://a,a:6379",
                          "redis://a,b/1",
                          "redis://h/-1",
                          "redis+sentinel://",
                          "redis+sentinel://s1",
                          "redis+sentinel://s1/",
                          "redis+sentinel:///m",
                          "redis+sentinel://s1/m/x",
                          "redis+sentinel://s1/m n",
                          "redis+sentinel://s1//0",
                          "redis+cluster://a",
                          "+sentinel://s1/m",
                          "sentinel://s1/m",
                          "unix://",
                          "unix:///",
                          "unix://h/s",
                          "unix://me@",
                          "unix:///s?db=x",
                          "unix:///s?db=",
                          "unix:///s?name=1",
                          "unix:///s?"}) {
    EXPECT_THROW(parse_url(bad), std::invalid_argument) << bad;
  }
  EXPECT_THROW(parse_url("unix:///" + std::string(107, 's')), std::invalid_argument);
  std::string many = "redis://h0";
  for (int n = 1; n <= 64; ++n) many += ",h" + std::to_string(n);
  EXPECT_THROW(parse_url(many), std::invalid_argument);
}

}  // namespace
}  // namespace sealcast::client::redis
