// Tests the signatures of Standard Webhooks against values that the openssl command has computed, and the check of
// secrets.
#include "client/webhook/webhook.h"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>

#include "base/asio.h"
#include "client/webhook/secrets.h"
#include "core/settings_error.h"
#include "support/scratch.h"

namespace sealcast::client::webhook {
namespace {

Webhook webhook(asio::io_context& context, std::string_view secret) {
  return Webhook(context.get_executor(),
                 {.url = "http://127.0.0.1:1", .secret = Secret(std::string(secret)), .ca_file = {}});
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

// The key is that of RFC 8032 §7.1, test 1. The expected signature was computed by:
// printf '%s' 'msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{"test": 2432232314}' > content
// (printf '302e020100300506032b657004220420' && echo nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A= | base64 -d | xxd -p
//   -c 32) | xxd -r -p > key.der
// openssl pkeyutl -sign -rawin -inkey key.der -keyform DER -in content | base64 -w 0
TEST(Webhook, SignsWithEachSecretInTheirOrder) {
  const std::string hmac = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
  const std::string seed = "whsk_nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=";
  const std::string pair =
      "whsk_nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2DXWpgBgrEKt9VL/tPJZAc6DuFy89qmIyWvAhpo9wdRGg==";
  const std::string v1 = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
  const std::string v1a =
      "v1a,fldxM4gAKugP6nnt1hdz3sgGfZ6d99nzrMFnZOELIxbzEHoVmAb2ADpkJK7zgPePmPsle0zV9jSeGlHFG2NVAw==";
  const auto signatures = [](const std::string& secrets) {
    asio::io_context context;
    return webhook(context, secrets).signature("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, R"({"test": 2432232314})");
  };
  EXPECT_EQ(signatures(seed), v1a);
  EXPECT_EQ(signatures(pair), v1a) << "with the public key after the seed";
  EXPECT_EQ(signatures(hmac + "\n" + pair), v1 + " " + v1a);
  EXPECT_EQ(signatures(pair + "\r\n\n" + hmac + "\r\n"), v1a + " " + v1) << "line ends of Windows, and an empty line";
}

TEST(Webhook, TheDeadlineIsThatOfStandardWebhooks) {
  EXPECT_GE(Webhook::Options().timeout, std::chrono::seconds(15));
  EXPECT_LE(Webhook::Options().timeout, std::chrono::seconds(30));
}

TEST(Webhook, SignsWithASecretThatIsReadAgain) {
  const auto signature = [](const Secret& secret) {
    asio::io_context context;
    return Webhook(context.get_executor(), {.url = "http://127.0.0.1:1", .secret = secret, .ca_file = {}})
        .signature("id", 1, "{}");
  };
  test::Scratch scratch;
  const std::string first = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", second = "whsec_NfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
  const Secret secret("setting", scratch.write("secret", first), read_webhook_secrets);
  EXPECT_EQ(signature(secret), signature(Secret(first)));
  scratch.write("secret", "whsec_AAAA");
  secret.read_again(first);
  EXPECT_EQ(signature(secret), signature(Secret(first))) << "a secret that is too short does not replace the last one";
  scratch.write("secret", second);
  secret.read_again(first);
  EXPECT_EQ(signature(secret), signature(Secret(second)));
}

TEST(Webhook, AcceptsOnlySecretsOfStandardWebhooks) {
  asio::io_context context;
  const std::string good = "whsec_" + std::string(32, 'A');  // 24 bytes
  EXPECT_NO_THROW(webhook(context, good));
  EXPECT_NO_THROW(webhook(context, good + "\n" + good + "\n" + good + "\n" + good));
  EXPECT_NO_THROW(webhook(context, "whsec_" + std::string(86, 'A') + "=="));  // 64 bytes
  for (const std::string& secret :
       {std::string(), std::string("whsec_"), std::string(32, 'A'), "whsec_" + std::string(31, 'A') + "=",
        "whsec_" + std::string(88, 'A'), "whsec_" + std::string(31, 'A') + "*", "whsec_" + std::string(30, 'A') + "=A",
        "whsec_    " + std::string(32, 'A'), "whsec_" + std::string(85, 'A') + "B==", "whsec_" + std::string(33, 'A'),
        // Ed25519: 31 and 33 bytes; 64 bytes whose public key is another one; the public key
        "whsk_" + std::string(42, 'A'), "whsk_" + std::string(44, 'A'),
        "whsk_" + std::string(86, 'A') + "==", "whpk_" + std::string(43, 'A') + "=", std::string("\n"),
        // several: a bad one, and too many
        good + "\nwhsec_AAAA", good + "\n" + good + "\n" + good + "\n" + good + "\n" + good}) {
    EXPECT_THROW(webhook(context, secret), core::SettingsError) << secret;
  }
}

}  // namespace
}  // namespace sealcast::client::webhook
