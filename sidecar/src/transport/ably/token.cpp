// Writes and signs an Ably TokenRequest: it allows one reader to subscribe to one Ably channel.
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
    std::string token;
    JsonObject(token)
        .text("keyName", key_.name())
        .number("ttl", ttl_ms)
        .text("capability", capability)
        .number("timestamp", reader.now_ms)
        .text("nonce", nonce)
        .text("mac", sign_token_request(key_.secret(), key_.name(), ttl_ms, capability, {}, reader.now_ms, nonce))
        .end();
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
  return std::make_unique<Tokens>(ably, ably.token_key_file.empty()
                                            ? read_key("ably.key_file", ably.key_file)
                                            : read_key("ably.token_key_file", ably.token_key_file));
}

}  // namespace sealcast::transport::ably
