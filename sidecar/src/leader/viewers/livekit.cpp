// Requests LiveKit's list of rooms with a signed access token. After each failure the pause before the next request
// grows.
#include "leader/viewers/livekit.h"

#include <algorithm>
#include <chrono>
#include <ctime>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/log.h"
#include "base/secret.h"
#include "client/http/client.h"
#include "client/postgres/params.h"
#include "core/digest.h"
#include "core/json_string.h"
#include "core/shard.h"
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
// Of one request. LiveKit takes bodies up to 10 MiB by default (pkg/config/config.go, max_api_request_body_size).
constexpr std::size_t kMaxNames = 1000;
constexpr std::size_t kMaxAnswer = 64 * 1024 * 1024;  // bytes; the answer lists all rooms with codecs and metadata

class LiveKit final : public ViewerSource {
 public:
  LiveKit(asio::any_io_executor executor, const config::Settings::LiveKit& settings, milliseconds list_all_every)
      : client_(std::move(executor),
                client::http::ClientOptions{
                    .ca_file = settings.ca_file, .max_connections = 2, .max_response_bytes = kMaxAnswer}),
        url_(settings.url + (settings.url.ends_with('/') ? "" : "/") + "twirp/livekit.RoomService/ListRooms"),
        secret_("livekit.api_secret_file", settings.api_secret_file),
        rooms_(settings.room),
        list_all_every_(list_all_every) {
    core::Fault fault;
    if (!core::append_json_string(settings.api_key, issuer_, fault))
      throw core::SettingsError("livekit.api_key is not UTF-8; copy the API key again from LiveKit");
  }

  void stop() override { client_.stop(); }

  asio::awaitable<std::optional<ViewerCounts>> count(std::span<const std::int32_t> shards,
                                                     const FollowedStreams& followed) override {
    const auto now = Clock::now();
    if (now < next_try_) co_return std::nullopt;
    const std::optional<std::vector<std::string>> names = names_to_ask(now, shards, followed);
    if (names && names->empty()) co_return ViewerCounts();
    const std::string secret = secret_.text();
    const std::vector<std::string> headers{"Content-Type: application/json", "Accept: application/json",
                                           "Authorization: Bearer " + token(secret)};
    const std::string body = request_body(names);
    client::http::Post request{url_, headers, body};
    const client::http::Answer answer = co_await client_.post(std::move(request), now + kDeadline);
    if (answer.status == client::http::kUnauthorized) secret_.read_again(secret);
    std::vector<LiveKitRooms::Room> rooms;
    const std::string problem = rooms_.read(answer, rooms);
    if (problem.empty()) {
      pause_ = kFirstPause;
      if (!names) {
        list_all_at_ = now + list_all_every_;
        shards_.assign(shards.begin(), shards.end());
      }
      co_return take(rooms);
    }
    next_try_ = Clock::now() + std::max(pause_, answer.retry_after);
    pause_ = std::min(2 * pause_, kLongestPause);
    log::write(log::Level::warn, log::tag::kAudience, "LiveKit did not return the numbers of viewers",
               {{"reason", problem}});
    co_return std::nullopt;
  }

 private:
  // Returns the names of the rooms to ask for; nullopt: all rooms.
  std::optional<std::vector<std::string>> names_to_ask(Clock::time_point now, std::span<const std::int32_t> shards,
                                                       const FollowedStreams& followed) const {
    if (now >= list_all_at_ || !followed || !std::ranges::equal(shards, shards_)) return std::nullopt;
    std::unordered_set<std::string> names;
    for (const auto& [stream_id, name] : known_) {
      if (std::ranges::count(shards, core::shard_of(postgres::uuid_bytes(stream_id).back())) > 0) names.insert(name);
    }
    for (const std::string& stream_id : *followed) {
      if (!known_.contains(stream_id)) names.insert(rooms_.name_of(stream_id));
    }
    if (names.size() > kMaxNames) return std::nullopt;
    return std::vector<std::string>(names.begin(), names.end());
  }

  static std::string request_body(const std::optional<std::vector<std::string>>& names) {
    if (!names) return "{}";
    std::string list = "[";
    for (const std::string& name : *names) {
      if (list.size() > 1) list += ',';
      append_json_string(name, list);
    }
    list += ']';
    std::string body;
    JsonObject(body).json("names", list).end();
    return body;
  }

  ViewerCounts take(const std::vector<LiveKitRooms::Room>& rooms) {
    ViewerCounts counts;
    known_.clear();
    for (const LiveKitRooms::Room& room : rooms) {
      known_.insert_or_assign(room.stream_id, room.name);
      if (room.viewers > 0) counts.insert_or_assign(room.stream_id, room.viewers);
    }
    return counts;
  }

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
  const milliseconds list_all_every_;
  Clock::time_point list_all_at_{};
  std::vector<std::int32_t> shards_;                    // when all rooms were listed last
  std::unordered_map<std::string, std::string> known_;  // the names of the rooms in the last answer, by stream
  milliseconds pause_ = kFirstPause;                    // after the next failure
  Clock::time_point next_try_{};
};

}  // namespace

std::unique_ptr<ViewerSource> make_livekit(asio::any_io_executor executor, const config::Settings& settings,
                                           milliseconds list_all_every) {
  if (settings.livekit.url.empty()) return nullptr;
  return std::make_unique<LiveKit>(std::move(executor), settings.livekit, list_all_every);
}

}  // namespace sealcast::leader::viewers
