// Requests LiveKit's list of rooms with a signed access token. After each failure the pause before the next request
// grows.
#include "leader/viewers/livekit.h"

#include <algorithm>
#include <chrono>
#include <ctime>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/log.h"
#include "base/secret.h"
#include "client/http/client.h"
#include "core/digest.h"
#include "core/json_string.h"
#include "core/token/jwt.h"
#include "leader/viewers/livekit_rooms.h"

namespace sealcast::leader::viewers {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr std::chrono::seconds kTokenLife{60};
constexpr std::chrono::seconds kTokenLeeway{10};  // LiveKit's clock may be behind ours
constexpr std::chrono::seconds kDeadline{4};
constexpr milliseconds kFirstPause{2000};
constexpr milliseconds kLongestPause{60'000};
constexpr std::size_t kMaxAnswer = 64 * 1024 * 1024;  // bytes; the answer lists all rooms with codecs and metadata

class LiveKit final : public ViewerSource {
 public:
  LiveKit(asio::any_io_executor executor, const config::Settings::LiveKit& settings)
      : client_(std::move(executor),
                client::http::ClientOptions{
                    .ca_file = settings.ca_file, .max_connections = 2, .max_response_bytes = kMaxAnswer}),
        url_(settings.url + (settings.url.ends_with('/') ? "" : "/") + "twirp/livekit.RoomService/ListRooms"),
        secret_("livekit.api_secret_file", settings.api_secret_file),
        rooms_(settings.room) {
    core::Fault fault;
    if (!core::append_json_string(settings.api_key, issuer_, fault))
      throw core::SettingsError("livekit.api_key is not UTF-8; copy the API key again from LiveKit");
  }

  void stop() override { client_.stop(); }

  asio::awaitable<std::optional<ViewerCounts>> count(std::span<const std::int32_t>) override {
    const auto now = Clock::now();
    if (now < next_try_) co_return std::nullopt;
    const std::string secret = secret_.text();
    const std::vector<std::string> headers{"Content-Type: application/json", "Accept: application/json",
                                           "Authorization: Bearer " + token(secret)};
    client::http::Post request{url_, headers, "{}"};
    const client::http::Answer answer = co_await client_.post(std::move(request), now + kDeadline);
    if (answer.status == client::http::kUnauthorized) secret_.read_again(secret);
    ViewerCounts counts;
    const std::string problem = rooms_.read(answer, counts);
    if (problem.empty()) {
      pause_ = kFirstPause;
      co_return counts;
    }
    next_try_ = Clock::now() + std::max(pause_, answer.retry_after);
    pause_ = std::min(2 * pause_, kLongestPause);
    log::write(log::Level::warn, log::tag::kAudience, "LiveKit did not return the numbers of participants",
               {{"reason", problem}});
    co_return std::nullopt;
  }

 private:
  std::string token(std::string_view secret) const {
    const std::int64_t now = std::time(nullptr);
    std::string claims;
    JsonObject(claims)
        .json("iss", issuer_)
        .number("nbf", now - kTokenLeeway.count())
        .number("exp", now + kTokenLife.count())
        .json("video", R"({"roomList":true})")
        .end();
    return core::token::write_hs256(claims, core::HmacKey(secret));
  }

  client::http::Client client_;
  const std::string url_;
  const Secret secret_;
  std::string issuer_;  // the API key as a JSON string
  LiveKitRooms rooms_;
  milliseconds pause_ = kFirstPause;  // after the next failure
  Clock::time_point next_try_{};
};

}  // namespace

std::unique_ptr<ViewerSource> make_livekit(asio::any_io_executor executor, const config::Settings& settings) {
  if (settings.livekit.url.empty()) return nullptr;
  return std::make_unique<LiveKit>(std::move(executor), settings.livekit);
}

}  // namespace sealcast::leader::viewers
