// Tests which topics get an alias.
#include "transport/mqtt/topic_aliases.h"

#include <gtest/gtest.h>

namespace sealcast::transport::mqtt {
namespace {

class MqttTopicAliasesTest : public testing::Test {
 protected:
  // Returns the number of the topic's alias, or 0.
  int number(const std::string& topic, std::uint16_t maximum) {
    const auto alias = aliases_.of(topic, maximum, now_);
    return alias ? alias->number : 0;
  }

  TopicAliases aliases_;
  TopicAliases::Clock::time_point now_{};
};

TEST_F(MqttTopicAliasesTest, ATopicKeepsItsAliasAndFurtherTopicsGetNone) {
  EXPECT_EQ(number("a", 0), 0);
  EXPECT_EQ(number("a", 2), 1);
  EXPECT_EQ(number("b", 2), 2);
  EXPECT_EQ(number("c", 2), 0);
  EXPECT_EQ(number("a", 2), 1);
}

TEST_F(MqttTopicAliasesTest, AnIdleTopicLosesItsAliasToTheNextTopic) {
  const auto old = aliases_.of("a", 2, now_);
  EXPECT_EQ(number("b", 2), 2);
  now_ += TopicAliases::kIdle / 2;
  EXPECT_EQ(number("b", 2), 2);
  now_ += TopicAliases::kIdle / 2;
  EXPECT_EQ(number("c", 2), 1);
  EXPECT_EQ(number("d", 2), 0) << "b is not idle";
  EXPECT_EQ(number("a", 2), 0);
  old->is_known = true;  // the broker's answer to a packet of topic a
  EXPECT_FALSE(aliases_.of("c", 2, now_)->is_known) << "the broker has not acknowledged the alias of c";
}

}  // namespace
}  // namespace sealcast::transport::mqtt
