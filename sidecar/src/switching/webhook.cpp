// The request and its signature.
#include "switching/webhook.h"

#include <openssl/evp.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <utility>
#include <vector>

#include "config/settings.h"

namespace sealcast {
namespace {

constexpr std::chrono::seconds kDeadline{10};
constexpr std::string_view kSecretPrefix = "whsec_";
constexpr std::size_t kMinSecret = 24, kMaxSecret = 64;  // bytes, by the standard
constexpr std::size_t kBase64Quantum = 4;

const unsigned char* bytes(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }

std::string decode_secret(std::string_view secret) {
  const SettingsError malformed(
      "switching.webhook_secret_file: the file does not hold whsec_ and 24 to 64 bytes in base64; make one by "
      "`echo whsec_$(openssl rand -base64 32)`");
  if (!secret.starts_with(kSecretPrefix)) throw malformed;
  secret.remove_prefix(kSecretPrefix.size());
  if (secret.empty() || secret.size() % kBase64Quantum != 0) throw malformed;
  std::string key(secret.size(), '\0');
  const int size =
      EVP_DecodeBlock(reinterpret_cast<unsigned char*>(key.data()), bytes(secret), static_cast<int>(secret.size()));
  if (size < 0) throw malformed;
  // EVP_DecodeBlock counts the bytes that padding stands for.
  const auto padding = static_cast<std::size_t>(std::count(secret.end() - 2, secret.end(), '='));
  key.resize(static_cast<std::size_t>(size) - padding);
  if (key.size() < kMinSecret || key.size() > kMaxSecret) throw malformed;
  return key;
}

}  // namespace

Webhook::Webhook(asio::any_io_executor executor, std::string url, std::string_view secret, std::string ca_file)
    : client_(std::move(executor), http::ClientOptions{.ca_file = std::move(ca_file), .max_connections = 4}),
      url_(std::move(url)),
      key_(decode_secret(secret)) {}

std::string Webhook::signature(std::string_view id, std::int64_t timestamp, std::string_view body) const {
  std::string content(id);
  content.append(".").append(std::to_string(timestamp)).append(".").append(body);
  const Digest digest = key_.sign(content);
  std::string encoded((digest.size() + 2) / 3 * kBase64Quantum + 1, '\0');
  const int size =
      EVP_EncodeBlock(reinterpret_cast<unsigned char*>(encoded.data()), digest.data(), static_cast<int>(digest.size()));
  encoded.resize(static_cast<std::size_t>(size));
  return "v1," + encoded;
}

asio::awaitable<std::string> Webhook::call(std::string id, std::string body) {
  const std::int64_t now = std::time(nullptr);
  const std::vector<std::string> headers{"Content-Type: application/json", "webhook-id: " + id,
                                         "webhook-timestamp: " + std::to_string(now),
                                         "webhook-signature: " + signature(id, now, body)};
  http::Post request{url_, headers, body};
  const http::Answer answer = co_await client_.post(std::move(request), http::Client::Clock::now() + kDeadline);
  if (answer.status >= 200 && answer.status < 300) co_return std::string();
  if (answer.status == 0) co_return answer.failure;
  co_return "it answered " + std::to_string(answer.status);
}

}  // namespace sealcast
