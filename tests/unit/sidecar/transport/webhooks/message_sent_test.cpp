// Tests the calls for messages: which frames make one, its id and its body.
#include "transport/webhooks/message_sent.h"

#include <gtest/gtest.h>

namespace sealcast::transport::webhooks {
namespace {

constexpr char kStream[] = "0190d000-0000-7000-8000-000000000001";

FramePtr frame(const std::string& sender, const std::string& envelope_end = R"(,"d":{"content":"hi"},"sig":"00"})") {
  return make_frame({.stream_id = kStream, .offset = 7, .prev = 6},
                    R"({"v":1,"kid":"k1","t":"chat","stream_id":")" + std::string(kStream) + R"(","s":")" + sender +
                        R"(","ts":1700000000007,"txn_id":"0190d000-0000-7000-8000-0000000000f1")" + envelope_end,
                    "");
}

TEST(MessageSent, ACallHasTheFrameAndTheTimeOfTheMessage) {
  const FramePtr sent = frame("0190d000-0000-7000-8000-0000000000b2");
  const Call call = call_for(*sent);
  EXPECT_EQ(call.id, std::string(kStream) + ":7:0190d000-0000-7000-8000-0000000000f1");
  EXPECT_EQ(call.body, R"({"type":"message.sent","timestamp":"2023-11-14T22:13:20.007Z","data":)" + sent->text + "}");
}

TEST(MessageSent, MessagesOfTheSystemAndMissingRowsMakeNoCall) {
  EXPECT_TRUE(call_for(*frame("00000000-0000-0000-0000-000000000000")).id.empty());
  EXPECT_TRUE(call_for(*make_frame({.stream_id = kStream, .offset = 7, .prev = 6}, "", "")).id.empty());
}

}  // namespace
}  // namespace sealcast::transport::webhooks
