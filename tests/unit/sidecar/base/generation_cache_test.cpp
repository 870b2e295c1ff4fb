// Tests how many entries the cache with two generations keeps, and for how long.
#include "base/generation_cache.h"

#include <gtest/gtest.h>

#include <string>

namespace sealcast {
namespace {

using std::chrono::seconds;
using Cache = GenerationCache<int, std::string>;

TEST(GenerationCache, FindReturnsTheValueThatWasPutLast) {
  Cache cache(4);
  EXPECT_EQ(cache.find(1), nullptr);
  EXPECT_EQ(*cache.put(1, "a"), "a");
  EXPECT_EQ(*cache.find(1), "a");
  cache.put(1, "b");
  EXPECT_EQ(*cache.find(1), "b");
  EXPECT_EQ(*cache.find_and_keep(1), "b");
  cache.clear();
  EXPECT_EQ(cache.find(1), nullptr);
}

TEST(GenerationCache, KeepsAtMostItsCapacityAndAtLeastTheNewestHalf) {
  Cache cache(10);
  for (int key = 0; key < 1000; ++key) {
    cache.put(key, "x");
    EXPECT_LE(cache.size(), 10u);
    for (int newest = key; newest >= 0 && newest > key - 5; --newest) EXPECT_NE(cache.find(newest), nullptr) << newest;
  }
  EXPECT_EQ(cache.find(0), nullptr);
}

TEST(GenerationCache, ANewValueHidesTheOldGenerationsValue) {
  Cache cache(4);
  cache.put(1, "a");
  cache.put(2, "x");
  cache.put(3, "x");  // begins a new generation
  cache.put(1, "b");
  EXPECT_EQ(*cache.find(1), "b");
  EXPECT_EQ(*cache.find_and_keep(1), "b");
}

TEST(GenerationCache, AnEntryInUseStays) {
  Cache cache(4);
  cache.put(0, "used");
  for (int key = 1; key < 1000; ++key) {
    cache.put(key, "x");
    const std::string* const used = cache.find_and_keep(0);
    ASSERT_NE(used, nullptr) << key;
    EXPECT_EQ(*used, "used");
    EXPECT_LE(cache.size(), 4u);
  }
}

TEST(GenerationCache, AnEntryExpiresBetweenItsAgeAndTwiceThat) {
  const Cache::Clock::time_point start = Cache::Clock::now();
  Cache cache(100, seconds(10));
  cache.expire(start);
  cache.put(1, "at 0");
  cache.expire(start + seconds(9));
  cache.put(2, "at 9");
  cache.expire(start + seconds(10));  // begins a new generation
  EXPECT_NE(cache.find(1), nullptr);
  EXPECT_NE(cache.find(2), nullptr);
  cache.put(3, "at 10");
  cache.expire(start + seconds(19));
  EXPECT_NE(cache.find(2), nullptr);
  cache.expire(start + seconds(20));
  EXPECT_EQ(cache.find(1), nullptr);
  EXPECT_EQ(cache.find(2), nullptr);
  EXPECT_NE(cache.find(3), nullptr);
}

TEST(GenerationCache, AfterAPauseOfTwiceTheAgeNothingIsLeft) {
  const Cache::Clock::time_point start = Cache::Clock::now();
  Cache cache(100, seconds(10));
  cache.expire(start);
  cache.put(1, "x");
  cache.expire(start + seconds(20));
  EXPECT_EQ(cache.size(), 0u);
}

TEST(GenerationCache, WithoutAnAgeNothingExpires) {
  Cache cache(100);
  cache.put(1, "x");
  cache.expire(Cache::Clock::now() + seconds(1'000'000));
  EXPECT_NE(cache.find(1), nullptr);
}

}  // namespace
}  // namespace sealcast
