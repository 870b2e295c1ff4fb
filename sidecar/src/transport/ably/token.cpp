// Writes and signs an Ably TokenRequest: it allows one reader to subscribe to one Ably channel. Its clientId is the
// user, so that the user's tokens can be revoked (revocation.cpp). https://ably.com/docs/auth/identified-clients
#include "transport/ably/token.h"

#include <openssl/rand.h>

#include <array>
#include <stdexcept>
#include <utility>

#include "base/json.h"
#include "core/digest.h"
#include "core/token/base64.h"
#include "transport/ably/key.h"

namespace sealcast::transport::ably {

std::string sign_token_request(std::string_view secret, std::string_view key_name, std::int64_t ttl_ms,
                               std::string_view capability, std::string_view client_id, std::int64_t timestamp_ms,
                               std::string_view nonce) {
  const std::string ttl = std::to_string(ttl_ms);
  const std::string timestamp = std::to_string(timestamp_ms);
  std::string text;
  for (const std::string_view field :
       {key_name, std::string_view(ttl), capability, client_id, std::string_view(timestamp), nonce}) {
    text.append(field).push_back('\n');
  }
  const core::Digest mac = core::HmacKey(secret).sign(text);
  return core::token::encode_base64(core::bytes(mac));
}

namespace {

std::string make_nonce() {
  std::array<unsigned char, 24> bytes;
  if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1) {
    throw std::runtime_error("OpenSSL did not return random numbers");
  }
  return core::token::encode_base64({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

class Tokens final : public TokenMaker {
 public:
  Tokens(const config::Settings::Ably& settings, ApiKey key)
      : key_(std::move(key)),
        channels_({"ably.channel", settings.channel}, {"ably.vip_channel", settings.vip_channel}) {}

  std::optional<TransportToken> make(const TokenClaims& reader) const override {
    auto channel = channels_.of(reader.stream_id, reader.channel);
    if (!channel) return std::nullopt;
    const std::int64_t ttl_ms = std::chrono::milliseconds(reader.life).count();
    const std::string nonce = make_nonce();
    const std::string capability = "{" + channel->json + R"(:["subscribe"]})";
    const std::string mac =
        sign_token_request(key_.secret(), key_.name(), ttl_ms, capability, reader.user_id, reader.now_ms, nonce);
    std::string token;
    JsonObject object(token);
    object.text("keyName", key_.name()).number("ttl", ttl_ms).text("capability", capability);
    // Without a user, Ably takes the reader for an unidentified client. An empty clientId would be refused.
    if (!reader.user_id.empty()) object.text("clientId", reader.user_id);
    object.number("timestamp", reader.now_ms).text("nonce", nonce).text("mac", mac).end();
    return TransportToken{std::move(channel->text), std::move(token), {}};
  }

 private:
  const ApiKey key_;
  const ChannelNames channels_;
};

}  // namespace

std::unique_ptr<TokenMaker> make_ably_tokens(const config::Settings& settings) {
  const config::Settings::Ably& ably = settings.ably;
  if (ably.key_file.empty()) return nullptr;
  const auto& [setting, file] = token_key(ably);
  return std::make_unique<Tokens>(ably, read_key(setting, file));
}

}  // namespace sealcast::transport::ably
