// Tests that a sender has the same event partition in every sidecar and in every version of Sealcast.
#include "events/event_partitions.h"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace sealcast::events
