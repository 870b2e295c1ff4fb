// Tests the claims of a reader token for an MQTT broker.
#include "transport/mqtt/token.h"

#include <gtest/gtest.h>

#include "core/digest.h"
#include "core/token/jwt.h"
#include "message/session.h"
#include "support/scratch.h"

namespace sealcast::transport::mqtt {
namespace {

constexpr std::int64_t kNow = 1'700'000'000;
constexpr const char* kUser = "0a8f4a52-1c1e-4b8e-9d7e-3f2a1b0c9d8e";
constexpr const char* kStream = "11111111-2222-4333-8444-555555555555";
const std::string kSecret = "0123456789abcdef0123456789abcdef";

class MqttTokenTest : public testing::Test {
 protected:
  MqttTokenTest() {
    settings_.mqtt.topic = "sealcast/{stream_id}";
    settings_.mqtt.token_secret_file = scratch_.write("secret", kSecret + "\n");
  }

  std::optional<TransportToken> make(Channel channel = Channel::everyone, std::string_view user_id = kUser) {
    return make_mqtt_tokens(settings_)->make(
        {kStream, channel, user_id, kNow * 1000 + 999, std::chrono::seconds(300), channel == Channel::all_messages});
  }

  // Checks the signature of the token, and returns its claims as JSON text.
  static std::string claims_of(const TransportToken& made) {
    const std::string token = made.token.substr(1, made.token.size() - 2);
    const auto jwt = core::token::parse_jwt(token);
    EXPECT_TRUE(jwt && core::token::verify_hs256(*jwt, core::HmacKey(kSecret))) << token;
    return jwt ? jwt->payload : "";
  }

  test::Scratch scratch_;
  config::Settings settings_{};
};

TEST_F(MqttTokenTest, AllowsToSubscribeToOneTopicUntilItExpires) {
  const auto made = make();
  ASSERT_TRUE(made);
  EXPECT_EQ(made->channel_id, "sealcast/" + std::string(kStream));
  EXPECT_EQ(made->url, "");
  EXPECT_EQ(claims_of(*made), R"({"username":")" + std::string(kUser) +
                                  R"(","iat":1699999990,"exp":1700000300,"acl":{"sub":["sealcast/)" + kStream +
                                  R"("]}})");
}

TEST_F(MqttTokenTest, HasNoUsernameWithoutAUser) {
  EXPECT_EQ(claims_of(*make(Channel::everyone, "")).find("username"), std::string::npos);
}

TEST_F(MqttTokenTest, TheVipChannelHasItsOwnTopic) {
  EXPECT_FALSE(make(Channel::all_messages));
  settings_.mqtt.vip_topic = "vip/\"{stream_id}";
  const auto made = make(Channel::all_messages);
  ASSERT_TRUE(made);
  EXPECT_EQ(made->channel_id, "vip/\"" + std::string(kStream));
  EXPECT_NE(claims_of(*made).find(R"({"sub":["vip/\")" + std::string(kStream) + "\"]}"), std::string::npos);
}

TEST_F(MqttTokenTest, ContainsThePublicUrlOfTheBroker) {
  settings_.mqtt.public_url = "wss://broker.example";
  EXPECT_EQ(make()->url, "wss://broker.example");
}

TEST_F(MqttTokenTest, IsNoSessionEvenWithTheSameSecret) {
  message::SessionVerifier verifier(kSecret, {});
  const std::string token = make()->token;
  EXPECT_FALSE(verifier.verify(token.substr(1, token.size() - 2), kNow).session);
}

TEST_F(MqttTokenTest, RejectsInvalidSettings) {
  settings_.mqtt.topic = "\xff{stream_id}";
  EXPECT_THROW(make_mqtt_tokens(settings_), core::SettingsError);
  settings_.mqtt.token_secret_file = scratch_.write("short", "too short");
  EXPECT_THROW(make_mqtt_tokens(settings_), core::SettingsError);
  settings_.mqtt.token_secret_file.clear();
  EXPECT_EQ(make_mqtt_tokens(settings_), nullptr);
}

}  // namespace
}  // namespace sealcast::transport::mqtt
