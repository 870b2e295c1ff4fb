// Tests the text of GET /metrics.
#include "base/metrics.h"

#include <gtest/gtest.h>

namespace sealcast {
namespace {

TEST(MetricsTest, RendersCountersGaugesAndHistograms) {
  Metrics metrics;
  metrics.messages_ok.Increment();
  metrics.refused("rate_limited").Increment(2);
  metrics.gate_checks("limited").Increment();
  metrics.send_message_seconds.Observe(0.003);
  metrics.relay_lag_seconds.Set(1.5);
  const std::string text = metrics.render();
  for (const char* line :
       {"sealcast_messages_total{code=\"ok\"} 1\n", "sealcast_messages_total{code=\"replayed\"} 0\n",
        "sealcast_messages_total{code=\"rate_limited\"} 2\n", "sealcast_gate_checks_total{outcome=\"limited\"} 1\n",
        "sealcast_request_seconds_count{route=\"send_message\"} 1\n",
        "sealcast_request_seconds_bucket{route=\"send_message\",le=\"0.005\"} 1\n", "sealcast_relay_lag_seconds 1.5\n",
        "sealcast_build_info{version=\"" SEALCAST_VERSION "\"} 1\n"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line << text;
  }
}

TEST(MetricsTest, AMetricWithALabelIsRenderedOnlyOnceALabelValueIsKnown) {
  Metrics metrics;
  EXPECT_EQ(metrics.render().find("sealcast_worker_held"), std::string::npos);
  metrics.worker().held.Set(2);
  EXPECT_NE(metrics.render().find("sealcast_worker_held 2\n"), std::string::npos);
}

TEST(MetricsTest, After64CodesARefusalCountsAsOther) {
  Metrics metrics;
  for (int i = 0; i < 1000; ++i) metrics.refused("hook_" + std::to_string(i)).Increment();
  const std::string text = metrics.render();
  std::size_t series = 0;
  for (std::size_t at = 0; (at = text.find("sealcast_messages_total{", at)) != std::string::npos; ++at) ++series;
  EXPECT_EQ(series, 2u + 64u + 1u);
  EXPECT_NE(text.find("sealcast_messages_total{code=\"other\"} 936\n"), std::string::npos) << text;
}

}  // namespace
}  // namespace sealcast
