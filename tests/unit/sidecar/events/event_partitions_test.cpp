// The partition of a sender: the same in every sidecar, for good.
#include <gtest/gtest.h>

#include "events/event_partitions.h"

namespace sealcast::events {
namespace {

// Test vectors of http://www.isthe.com/chongo/src/fnv/test_fnv.c
TEST(PartitionTest, IsFnv1a) {
  constexpr std::size_t kAll = SIZE_MAX;  // so that the hash itself remains, but for one value
  EXPECT_EQ(partition_of("", kAll), 0xcbf29ce484222325U);
  EXPECT_EQ(partition_of("a", kAll), 0xaf63dc4c8601ec8cU);
  EXPECT_EQ(partition_of("foobar", kAll), 0x85944171f73967e8U);
}

TEST(PartitionTest, IsOneOfThem) {
  const std::string_view sender = "0190d000-0000-7000-8000-0000000000a1";
  EXPECT_EQ(partition_of(sender, 1), 0U);
  for (std::size_t n = 2; n < 100; ++n) EXPECT_LT(partition_of(sender, n), n);
}

}  // namespace
}  // namespace sealcast::events
