// Tests the signature of Standard Webhooks against a value that the openssl command has computed, and the check of
// secrets.
#include "leader/switching/webhook.h"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>

#include "base/asio.h"
#include "config/settings.h"
#include "leader/switching/webhook_secret.h"
#include "support/scratch.h"

namespace sealcast::leader {
namespace {

switching::Webhook webhook(asio::io_context& context, std::string_view secret) {
  return switching::Webhook(context.get_executor(), "http://127.0.0.1:1", Secret(std::string(secret)), "");
}

// The expected signature was computed by:
// printf '%s' 'msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{"test": 2432232314}' |
//   openssl dgst -sha256 -mac HMAC -macopt hexkey:$(echo MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw | base64 -d | xxd -p) -binary
//   | base64
TEST(Webhook, TheSignatureCoversIdTimestampAndBody) {
  asio::io_context context;
  EXPECT_EQ(webhook(context, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
                .signature("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, R"({"test": 2432232314})"),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

TEST(Webhook, SignsWithASecretThatIsReadAgain) {
  const auto signature = [](const Secret& secret) {
    asio::io_context context;
    return switching::Webhook(context.get_executor(), "http://127.0.0.1:1", secret, "").signature("id", 1, "{}");
  };
  test::Scratch scratch;
  const std::string first = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", second = "whsec_NfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
  const Secret secret("setting", scratch.write("secret", first), switching::read_webhook_secret);
  EXPECT_EQ(signature(secret), signature(Secret(first)));
  scratch.write("secret", "whsec_AAAA");
  secret.read_again(first);
  EXPECT_EQ(signature(secret), signature(Secret(first))) << "a secret that is too short does not replace the last one";
  scratch.write("secret", second);
  secret.read_again(first);
  EXPECT_EQ(signature(secret), signature(Secret(second)));
}

TEST(Webhook, AcceptsOnlySecretsOf24To64Bytes) {
  asio::io_context context;
  EXPECT_NO_THROW(webhook(context, "whsec_" + std::string(32, 'A')));         // 24 bytes
  EXPECT_NO_THROW(webhook(context, "whsec_" + std::string(86, 'A') + "=="));  // 64 bytes
  for (const std::string& secret :
       {std::string(), std::string("whsec_"), std::string(32, 'A'), "whsec_" + std::string(31, 'A') + "=",
        "whsec_" + std::string(88, 'A'), "whsec_" + std::string(31, 'A') + "*", "whsec_" + std::string(30, 'A') + "=A",
        "whsec_    " + std::string(32, 'A'),
        "whsec_" + std::string(85, 'A') + "B==", "whsec_" + std::string(33, 'A')}) {
    EXPECT_THROW(webhook(context, secret), core::SettingsError) << secret;
  }
}

}  // namespace
}  // namespace sealcast::leader
