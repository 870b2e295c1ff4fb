// Tests that a sender has the same event partition in every sidecar and in every version of Sealcast, and which frames
// are delivered when a redaction fails.
#include "events/event_partitions.h"

#include <gtest/gtest.h>

#include <vector>

#include "support/async.h"
#include "support/redis_server.h"

namespace sealcast::events {
namespace {

// Test vectors of http://www.isthe.com/chongo/src/fnv/test_fnv.c
TEST(EventPartitionsTest, ThePartitionIsTheFnv1aHashOfTheSender) {
  constexpr std::size_t kAll = SIZE_MAX;  // a hash modulo SIZE_MAX is the hash itself, unless it is SIZE_MAX
  EXPECT_EQ(partition_of("", kAll), 0xcbf29ce484222325U);
  EXPECT_EQ(partition_of("a", kAll), 0xaf63dc4c8601ec8cU);
  EXPECT_EQ(partition_of("foobar", kAll), 0x85944171f73967e8U);
}

TEST(EventPartitionsTest, ThePartitionIsLessThanTheNumberOfPartitions) {
  const std::string_view sender = "0190d000-0000-7000-8000-0000000000a1";
  EXPECT_EQ(partition_of(sender, 1), 0U);
  for (std::size_t n = 2; n < 100; ++n) EXPECT_LT(partition_of(sender, n), n);
}

TEST(EventPartitionsTest, AFailedErasureRepeatsOnlyItsAnnouncement) {
  test::RedisServer server;
  asio::io_context io;
  config::Settings::RedisEvents settings{};
  settings.key = "events:{n}";
  EventPartitions partitions(io.get_executor(), settings, server.options());
  constexpr std::size_t kCount = 2;
  partitions.set_count(kCount);
  partitions.start();
  const std::string system = "system";
  std::string redacted = "a";  // a sender in another partition
  while (partition_of(redacted, kCount) == partition_of(system, kCount)) redacted += 'a';
  const auto frame = [&](std::int64_t offset, transport::RedactionPtr redaction = nullptr) {
    transport::Frame made{.stream_id = "x", .offset = offset, .text = R"({"envelope":{"s":")" + system + R"("}})"};
    made.redaction = std::move(redaction);
    return std::make_shared<const transport::Frame>(std::move(made));
  };
  const auto redaction = std::make_shared<const transport::Redaction>(
      transport::Redaction{.stream_id = "x", .sender_id = redacted, .txn_id = "t", .offset = 2, .member = "{}"});
  const std::vector<transport::FramePtr> frames{frame(1), frame(2, redaction), frame(3)};
  const std::string key = partitions.key(partition_of(redacted, kCount));
  server.command({"SET", key, "not a stream"});
  const auto add = [&](std::span<const transport::FramePtr> added) {
    return test::await(io, partitions.add(added, redis::Clock::now() + std::chrono::seconds(5)));
  };
  const auto length = [&] { return server.command({"XLEN", partitions.key(partition_of(system, kCount))}); };
  const transport::outside::Outcome failed = add(frames);
  EXPECT_EQ(failed.kind, transport::outside::Outcome::Kind::retry_stream) << failed.reason;
  EXPECT_EQ(failed.delivered, 1u);
  EXPECT_EQ(length(), "2");
  server.command({"DEL", key});
  EXPECT_EQ(add(std::span(frames).subspan(1)).kind, transport::outside::Outcome::Kind::done);
  EXPECT_EQ(length(), "4") << "the announcement again, and the last frame";
  partitions.stop();
}

}  // namespace
}  // namespace sealcast::events
