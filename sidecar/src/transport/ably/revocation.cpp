// Revokes the tokens of users by their clientId, with the key that signed the token requests: Ably takes no other key.
//
// The requests have no issuedBefore, so that Ably revokes the tokens up to its own present time. They have no
// allowReauthMargin, because it would leave a banned user connected for 30 seconds.
#include "transport/ably/revocation.h"

#include <chrono>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/secret.h"
#include "client/http/client.h"
#include "core/token/base64.h"
#include "transport/ably/key.h"
#include "transport/ably/revocation_answer.h"

namespace sealcast::transport::ably {
namespace {

constexpr std::size_t kMaxTargets = 100;  // https://ably.com/docs/auth/revocation#revoke
constexpr std::chrono::seconds kDeadline{10};

std::string body_for(std::span<const std::string> users) {
  std::string targets;
  for (const std::string& user : users) {
    targets.append(targets.empty() ? "[\"" : ",\"").append(kClientTarget).append(user) += '"';
  }
  std::string body;
  JsonObject(body).json("targets", targets + "]").end();
  return body;
}

class Revoker final : public TokenRevoker {
 public:
  Revoker(asio::any_io_executor executor, const config::Settings::Ably& settings, const TokenKey& key)
      : client_(std::move(executor), client::http::ClientOptions{.ca_file = settings.ca_file, .max_connections = 1}),
        url_prefix_(settings.url + (settings.url.ends_with('/') ? "" : "/") + "keys/"),
        key_(key.setting, key.file,
             [](const std::string& setting, const std::string& file) { return read_key(setting, file).text; }) {}

  std::size_t max_users() const override { return kMaxTargets; }
  void read_key_again() override { key_.read_again(key_.text()); }
  void stop() override { client_.stop(); }

  asio::awaitable<Answer> revoke(std::span<const std::string> users) override {
    const ApiKey key{key_.text()};
    // Since version 3, a partial failure has the results of all targets as a success has
    // (github.com/ably/ably-js, test/rest/batch.test.js).
    const std::vector<std::string> headers{"Content-Type: application/json", "Accept: application/json",
                                           "X-Ably-Version: 3",
                                           "Authorization: Basic " + core::token::encode_base64(key.text)};
    const std::string body = body_for(users);
    client::http::Post request{url_prefix_ + client::http::percent_encode(key.name()) + "/revokeTokens", headers, body};
    const client::http::Answer answer =
        co_await client_.post(std::move(request), client::http::Client::Clock::now() + kDeadline);
    Answer revocation = read_revocation(answer, users);
    if (answer.status == client::http::kUnauthorized && revocation.may_retry()) key_.read_again(key.text);
    co_return revocation;
  }

 private:
  client::http::Client client_;
  const std::string url_prefix_;  // the URL up to the name of the key
  const Secret key_;
};

}  // namespace

std::unique_ptr<TokenRevoker> make_ably_revoker(asio::any_io_executor executor, const config::Settings& settings) {
  if (settings.ably.key_file.empty()) return nullptr;
  return std::make_unique<Revoker>(std::move(executor), settings.ably, token_key(settings.ably));
}

}  // namespace sealcast::transport::ably
