// Tests how transports that no sidecar delivers are reported.
#include "leader/uncarried.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace sealcast::leader {
namespace {

class UncarriedTest : public testing::Test {
 protected:
  // Returns what one reading writes to the log.
  std::string update(const std::vector<Uncarried::Transport>& transports) {
    testing::internal::CaptureStderr();
    uncarried_.update(transports, now_);
    return testing::internal::GetCapturedStderr();
  }
  bool shows(const std::string& line) const { return metrics_.render().find(line + "\n") != std::string::npos; }

  Metrics metrics_;
  Uncarried uncarried_{metrics_};
  Uncarried::Clock::time_point now_ = Uncarried::Clock::now();
};

const Uncarried::Transport kMqtt{"mqtt", 4, "0, 1, 2, 3"};
const Uncarried::Transport kAbly{"ably", 1, "2"};

TEST_F(UncarriedTest, NothingIsReportedWhileAllTransportsAreCarried) {
  EXPECT_EQ(update({}), "");
  EXPECT_EQ(uncarried_.problem(), "");
  EXPECT_EQ(metrics_.render().find("uncarried"), std::string::npos);
}

TEST_F(UncarriedTest, EachTransportIsNamedInTheLogTheMetricsAndTheProblem) {
  const std::string log = update({kAbly, kMqtt});
  EXPECT_NE(log.find(R"("transport":"ably","shards":"2")"), std::string::npos) << log;
  EXPECT_NE(log.find(R"("transport":"mqtt","shards":"0, 1, 2, 3")"), std::string::npos) << log;
  EXPECT_EQ(uncarried_.problem(), "no sidecar delivers to ably (shards 2), mqtt (shards 0, 1, 2, 3)");
  EXPECT_TRUE(shows(R"(sealcast_delivery_uncarried_shards{transport="ably"} 1)"));
  EXPECT_TRUE(shows(R"(sealcast_delivery_uncarried_shards{transport="mqtt"} 4)"));
}

TEST_F(UncarriedTest, TheLogIsRepeatedEachMinuteAndAfterAChange) {
  EXPECT_NE(update({kMqtt}), "");
  now_ += std::chrono::seconds(59);
  EXPECT_EQ(update({kMqtt}), "");
  now_ += std::chrono::seconds(1);
  EXPECT_NE(update({kMqtt}), "");
  EXPECT_NE(update({kAbly, kMqtt}), "");
}

TEST_F(UncarriedTest, TheEndIsReportedOnce) {
  update({kMqtt});
  const std::string log = update({});
  EXPECT_NE(log.find("sidecars deliver to all transports again"), std::string::npos) << log;
  EXPECT_EQ(uncarried_.problem(), "");
  EXPECT_TRUE(shows(R"(sealcast_delivery_uncarried_shards{transport="mqtt"} 0)"));
  EXPECT_EQ(update({}), "");
}

}  // namespace
}  // namespace sealcast::leader
