// Signs the calls of the switching webhook and sends them.
#include "leader/switching/webhook.h"

#include <chrono>
#include <ctime>
#include <utility>
#include <vector>

#include "core/digest.h"
#include "core/token/base64.h"
#include "leader/switching/webhook_secret.h"

namespace sealcast::leader::switching {
namespace {

constexpr std::chrono::seconds kDeadline{10};

}  // namespace

Webhook::Webhook(asio::any_io_executor executor, std::string url, Secret secret, std::string ca_file)
    : client_(std::move(executor), client::http::ClientOptions{.ca_file = std::move(ca_file), .max_connections = 4}),
      url_(std::move(url)),
      secret_(std::move(secret)) {
  decode_webhook_secret(secret_.text());
}

std::string Webhook::signature(std::string_view id, std::int64_t timestamp, std::string_view body) const {
  std::string content(id);
  content.append(".").append(std::to_string(timestamp)).append(".").append(body);
  const core::Digest digest = core::HmacKey(decode_webhook_secret(secret_.text())).sign(content);
  return "v1," + core::token::encode_base64(core::bytes(digest));
}

asio::awaitable<std::string> Webhook::call(std::string id, std::string body) {
  const std::int64_t now = std::time(nullptr);
  const std::string secret = secret_.text();
  const std::vector<std::string> headers{"Content-Type: application/json", "webhook-id: " + id,
                                         "webhook-timestamp: " + std::to_string(now),
                                         "webhook-signature: " + signature(id, now, body)};
  client::http::Post request{url_, headers, body};
  const client::http::Answer answer =
      co_await client_.post(std::move(request), client::http::Client::Clock::now() + kDeadline);
  if (answer.status >= 200 && answer.status < 300) co_return std::string();
  if (answer.status == 0) co_return answer.failure;
  if (answer.status == client::http::kUnauthorized) secret_.read_again(secret);
  co_return "it answered " + std::to_string(answer.status);
}

}  // namespace sealcast::leader::switching
