// The request, its token, and what the rooms say.
#include "audience/livekit.h"

#include <simdjson.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <ctime>
#include <limits>
#include <stdexcept>
#include <utility>
#include <vector>

#include "config/secret_file.h"
#include "core/digest.h"
#include "core/json_string.h"
#include "core/uuid.h"
#include "http_client/client.h"
#include "log/log.h"
#include "session/jwt.h"

namespace sealcast {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr std::string_view kStreamId = "{stream_id}";
constexpr std::chrono::seconds kTokenLife{60};
constexpr std::chrono::seconds kTokenLeeway{10};  // the other clock may be behind
constexpr std::chrono::seconds kDeadline{4};
constexpr milliseconds kFirstBackoff{2000};
constexpr milliseconds kMaxBackoff{60'000};
constexpr std::size_t kMaxAnswer = 64 * 1024 * 1024;  // all rooms, with their codecs and metadata

// A number of protobuf's JSON mapping; what is missing is 0.
std::int64_t number(simdjson::dom::object object, std::string_view snake_case, std::string_view camel_case) {
  for (const std::string_view name : {snake_case, camel_case}) {
    std::int64_t value = 0;
    std::string_view text;
    if (object[name].get(value) == simdjson::SUCCESS) return value;
    if (object[name].get(text) != simdjson::SUCCESS) continue;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error == std::errc() && end == text.data() + text.size()) return value;
  }
  return 0;
}

class LiveKit final : public ViewerSource {
 public:
  LiveKit(asio::any_io_executor executor, const Settings::LiveKit& settings, std::string_view secret)
      : client_(
            std::move(executor),
            http::ClientOptions{.ca_file = settings.ca_file, .max_connections = 2, .max_response_bytes = kMaxAnswer}),
        url_(settings.url + (settings.url.ends_with('/') ? "" : "/") + "twirp/livekit.RoomService/ListRooms"),
        key_(secret),
        prefix_(settings.room.substr(0, settings.room.find(kStreamId))),
        suffix_(settings.room.substr(settings.room.find(kStreamId) + kStreamId.size())) {
    Fault fault;
    if (!append_json_string(settings.api_key, issuer_, fault)) throw SettingsError("livekit.api_key is not UTF-8");
  }

  std::string_view name() const override { return "webrtc"; }
  void stop() override { client_.stop(); }

  asio::awaitable<std::optional<ViewerCounts>> count(std::span<const std::int32_t>) override {
    const auto now = Clock::now();
    if (now < next_try_) co_return std::nullopt;
    const std::vector<std::string> headers{"Content-Type: application/json", "Accept: application/json",
                                           "Authorization: Bearer " + token()};
    http::Post request{url_, headers, "{}"};
    const http::Answer answer = co_await client_.post(std::move(request), now + kDeadline);
    ViewerCounts counts;
    const std::string problem = read(answer, counts);
    if (problem.empty()) {
      backoff_ = kFirstBackoff;
      co_return counts;
    }
    next_try_ = Clock::now() + std::max(backoff_, answer.retry_after);
    backoff_ = std::min(2 * backoff_, kMaxBackoff);
    log::write(log::Level::warn, log::tag::kAudience, "LiveKit does not tell how many watch", {{"reason", problem}});
    co_return std::nullopt;
  }

 private:
  std::string token() const {
    const std::int64_t now = std::time(nullptr);
    const std::string claims = R"({"iss":)" + issuer_ + R"(,"nbf":)" + std::to_string(now - kTokenLeeway.count()) +
                               R"(,"exp":)" + std::to_string(now + kTokenLife.count()) +
                               R"(,"video":{"roomList":true}})";
    return write_hs256(claims, key_);
  }

  // What is wrong with the answer; empty when nothing is.
  std::string read(const http::Answer& answer, ViewerCounts& counts) {
    if (answer.status == 0) return answer.failure;
    simdjson::dom::element root;
    const bool is_json = parser_.parse(answer.body).get(root) == simdjson::SUCCESS;
    if (answer.status != 200) {
      std::string problem = "it answered " + std::to_string(answer.status);
      for (const char* member : {"code", "msg"}) {
        std::string_view text;
        if (is_json && root[member].get(text) == simdjson::SUCCESS) problem += ", " + http::one_line(text);
      }
      return problem;
    }
    simdjson::dom::object object;
    if (!is_json || root.get(object) != simdjson::SUCCESS) return "its answer is no JSON object";
    simdjson::dom::array rooms;
    const auto error = object["rooms"].get(rooms);
    if (error == simdjson::NO_SUCH_FIELD) return {};  // there is none
    if (error) return "rooms is no list";
    for (const auto element : rooms) {
      simdjson::dom::object room;
      std::string_view name;
      if (element.get(room) || room["name"].get(name)) return "a room has no name";
      const std::string stream_id = stream_of(name);
      const std::int64_t participants = number(room, "num_participants", "numParticipants");
      if (stream_id.empty() || participants <= 0) continue;
      counts[stream_id] =
          static_cast<std::int32_t>(std::min<std::int64_t>(participants, std::numeric_limits<std::int32_t>::max() / 2));
    }
    return {};
  }

  // Empty: no stream's room.
  std::string stream_of(std::string_view room) const {
    std::string stream_id;
    if (room.size() < prefix_.size() + suffix_.size() || !room.starts_with(prefix_) || !room.ends_with(suffix_))
      return {};
    room.remove_prefix(prefix_.size());
    room.remove_suffix(suffix_.size());
    return normalize_uuid(room, stream_id) ? stream_id : std::string();
  }

  http::Client client_;
  const std::string url_;
  const HmacKey key_;
  const std::string prefix_;
  const std::string suffix_;
  std::string issuer_;  // as JSON
  simdjson::dom::parser parser_;
  milliseconds backoff_ = kFirstBackoff;
  Clock::time_point next_try_{};
};

}  // namespace

std::unique_ptr<ViewerSource> make_livekit(asio::any_io_executor executor, const Settings& settings) {
  if (settings.livekit.url.empty()) return nullptr;
  const std::string secret = read_secret_file("livekit.api_secret_file", settings.livekit.api_secret_file);
  return std::make_unique<LiveKit>(std::move(executor), settings.livekit, secret);
}

}  // namespace sealcast
