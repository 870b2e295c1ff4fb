// Writes the claims of a reader token for an MQTT broker, and signs the token.
#include "transport/mqtt/token.h"

#include <utility>

#include "core/token/jwt.h"
#include "core/token/secret_file.h"

namespace sealcast::transport::mqtt {
namespace {

// The claim `iat` is this much before the current time. EMQX refuses a token whose `iat` is later than its own clock.
constexpr std::int64_t kLeewaySeconds = 10;

class MqttTokens final : public TokenMaker {
 public:
  MqttTokens(const config::Settings::Mqtt& settings, std::string_view secret)
      : key_(secret),
        topics_({"mqtt.topic", settings.topic}, {"mqtt.vip_topic", settings.vip_topic}),
        url_(settings.public_url) {}

  std::optional<TransportToken> make(const TokenClaims& reader) const override {
    auto topic = topics_.of(reader.stream_id, reader.channel);
    if (!topic) return std::nullopt;
    const std::int64_t now = reader.now_ms / 1000;
    std::string claims = "{";
    if (!reader.user_id.empty()) claims.append(R"("username":")").append(reader.user_id).append(R"(",)");
    if (reader.restricted) claims += R"("ends_connection":true,)";
    claims += R"("iat":)" + std::to_string(now - kLeewaySeconds) + R"(,"exp":)" +
              std::to_string(now + reader.life.count()) + R"(,"acl":{"sub":[)" + topic->json + "]}}";
    return TransportToken{std::move(topic->text), '"' + core::token::write_hs256(claims, key_) + '"', url_};
  }

 private:
  const core::HmacKey key_;
  const ChannelNames topics_;
  const std::string url_;
};

}  // namespace

std::unique_ptr<TokenMaker> make_mqtt_tokens(const config::Settings& settings) {
  if (settings.mqtt.token_secret_file.empty()) return nullptr;
  return std::make_unique<MqttTokens>(
      settings.mqtt, core::token::read_signing_secret("mqtt.token_secret_file", settings.mqtt.token_secret_file));
}

}  // namespace sealcast::transport::mqtt
