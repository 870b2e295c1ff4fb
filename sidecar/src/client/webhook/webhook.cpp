// Signs the calls of a webhook, sends them, and interprets the answers.
#include "client/webhook/webhook.h"

#include <algorithm>
#include <array>
#include <ctime>
#include <utility>
#include <vector>

#include "client/webhook/secrets.h"

namespace sealcast::client::webhook {
namespace {

constexpr int kGone = 410;
constexpr std::array kBusy{429, 502, 503, 504};

}  // namespace

Webhook::Webhook(asio::any_io_executor executor, Options options)
    : client_(std::move(executor),
              http::ClientOptions{.ca_file = std::move(options.ca_file), .max_connections = options.max_connections}),
      url_(std::move(options.url)),
      secret_(std::move(options.secret)),
      timeout_(options.timeout) {
  [[maybe_unused]] const WebhookSecrets valid(secret_.text());  // throws if one is not
}

std::string Webhook::signature(std::string_view id, std::int64_t timestamp, std::string_view body) const {
  std::string content(id);
  content.append(".").append(std::to_string(timestamp)).append(".").append(body);
  return WebhookSecrets(secret_.text()).signatures(content);
}

asio::awaitable<Webhook::Answer> Webhook::call(std::string id, std::string body) {
  const std::int64_t now = std::time(nullptr);
  const std::string secret = secret_.text();
  const std::vector<std::string> headers{"Content-Type: application/json", "webhook-id: " + id,
                                         "webhook-timestamp: " + std::to_string(now),
                                         "webhook-signature: " + signature(id, now, body)};
  http::Post request{url_, headers, body};
  const http::Answer answer = co_await client_.post(std::move(request), http::Client::Clock::now() + timeout_);
  if (answer.status == http::kUnauthorized) secret_.read_again(secret);
  Answer result{.problem = {},
                .gone = answer.status == kGone,
                .busy = std::ranges::count(kBusy, answer.status) > 0,
                .late = answer.late,
                .away = answer.status == 0 && !answer.late,
                .retry_after = answer.retry_after};
  if (answer.status == 0) {
    result.problem = answer.failure;
  } else if (answer.status < 200 || answer.status >= 300) {
    result.problem = "it answered " + std::to_string(answer.status);
  }
  co_return result;
}

}  // namespace sealcast::client::webhook
