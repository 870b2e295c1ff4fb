// Publishes by POST {url}/channels/{channel}/messages with an array of messages. Ably answers 201. The statuses 200
// and 204 also count as success (outcome.cpp).
// https://ably.com/docs/api/rest-api#publish
//
// Ably publishes either all messages of an array or none, so a failure does not change the order of frames. An array
// counts as one message against the rate limit of the Ably channel
// (https://ably.com/docs/api/rest-sdk/channels#publish, "Publish multiple messages"). So publishes to one channel keep
// a distance of 1 / ably.publishes_per_second, and the frames that arrive meanwhile form the next array.
//
// The messages of an array have the ids "base:0", "base:1", … The base is the idempotency key of the array. Ably
// remembers the key for two minutes (https://ably.com/docs/pub-sub/advanced#idempotency). The base consists of the
// stream id, the first offset, the last offset and a part of the last signature, so it identifies exactly the frames of
// the array. Two different arrays never have the same base, also when a restored database gives the same offsets again.
// So Ably never drops new frames as a repeat. When an answer is lost, Ably may have
// published the array. The retry then sends an array of the same frames, and Ably recognises the repeat. Ably does not
// recognise a retry after two minutes, a retry by another sidecar with other arrays, or any retry when the channel has
// server-side batching (https://ably.com/docs/messages/batch#server-side). In these cases readers may get frames twice.
// They drop the second copy by its offset, as with every transport.
//
// Ably also has a batch endpoint (POST /messages, https://ably.com/docs/messages/batch). It is not used for two
// reasons. With one frame per item, each item would succeed or fail alone, and a later frame could be published before
// an earlier one. With several channels per request, all channels would wait for the slowest channel.
#include "transport/ably/ably.h"

#include <algorithm>
#include <unordered_map>

#include "base/event.h"
#include "base/secret.h"
#include "client/http/client.h"
#include "core/json_string.h"
#include "core/token/base64.h"
#include "transport/ably/key.h"
#include "transport/ably/outcome.h"

namespace sealcast::transport::ably {
namespace {

using Kind = outside::Outcome::Kind;
using Frames = std::span<const FramePtr>;
using Clock = outside::Adapter::Clock;

constexpr std::size_t kMaxBatch = 128;
constexpr std::size_t kSignature = 16;         // characters of the signature in an idempotency key
constexpr std::string_view kName = "message";  // the name of each message; subscribers may filter by it
constexpr Clock::duration kSecond = std::chrono::seconds(1);
constexpr std::chrono::minutes kRemembered{2};  // how long Ably remembers an idempotency key
constexpr std::string_view kVersion = "X-Ably-Version: 1.2";

// Returns the size in bytes as Ably counts it (https://github.com/ably/specification, TM6).
std::size_t size_of(const Frame& frame) { return kName.size() + frame.text.size(); }

// Appends the JSON array of messages. The member `data` of a message is the text of its frame as a JSON string. Because
// of {"encoding":"json"}, the Ably library of a reader parses this text (specification, RSL4d3). Returns false when the
// text of a frame is not UTF-8.
bool append_messages(Frames frames, std::string& out) {
  const std::string base = frames.front()->stream_id + "-" + std::to_string(frames.front()->offset) + "-" +
                           std::to_string(frames.back()->offset) + "-" +
                           std::string(envelope_sig(frames.back()->text).substr(0, kSignature)) + ":";
  core::Fault fault;
  for (std::size_t i = 0; i < frames.size(); ++i) {
    out += i == 0 ? "[" : ",";
    out += R"({"id":")" + base + std::to_string(i) + R"(","name":")";
    out += kName;
    out += R"(","encoding":"json","data":)";
    if (!core::append_json_string(frames[i]->text, out, fault)) return false;
    out += '}';
  }
  out += ']';
  return true;
}

std::vector<std::string> headers_for(const std::string& key) {
  return {"Content-Type: application/json", "Accept: application/json", std::string(kVersion),
          "Authorization: Basic " + core::token::encode_base64(key)};
}

// Returns true when Ably may have published the array although the answer was not a success.
bool in_doubt(const client::http::Answer& answer) { return answer.status == 0 || answer.status >= 500; }

class Ably : public outside::Adapter {
 public:
  Ably(asio::any_io_executor executor, const config::Settings::Ably& settings)
      : client_(std::move(executor), client::http::ClientOptions{.ca_file = settings.ca_file}),
        url_prefix_(settings.url + (settings.url.ends_with('/') ? "" : "/") + "channels/"),
        channel_(settings.channel),
        distance_(settings.publishes_per_second == 0 ? Clock::duration(0) : kSecond / settings.publishes_per_second),
        max_bytes_(settings.max_message_bytes),
        key_("ably.key_file", settings.key_file,
             [](const std::string& setting, const std::string& file) { return read_key(setting, file).text; }) {}

  std::size_t max_batch() const override { return kMaxBatch; }
  void start() override {}
  void stop() override { client_.stop(); }

  asio::awaitable<outside::Outcome> publish(Frames frames, Clock::time_point deadline) override {
    std::size_t delivered = 0;
    std::size_t max_array = frames.size();
    while (delivered < frames.size()) {
      const Frames rest = frames.subspan(delivered);
      const Frames array = rest.first(std::min(array_size(rest), max_array));
      std::string body;
      outside::Outcome outcome = prepare(array, body);
      if (outcome.kind == Kind::done) {
        co_await keep_distance(array.front()->stream_id);
        const std::string key = key_.text();
        const std::vector<std::string> headers = headers_for(key);
        client::http::Post request{url_of(array.front()->stream_id), headers, body};
        const client::http::Answer answer = co_await client_.post(std::move(request), deadline);
        if (answer.status == client::http::kUnauthorized) key_.read_again(key);
        outcome = outcome_of(answer);
        remember(array, answer, outcome.kind);
        // Ably is slow, but available: it has accepted earlier frames of this call.
        if (answer.late && delivered > 0) outcome.kind = Kind::retry_stream;
      }
      if (outcome.kind == Kind::dead && array.size() > 1) {
        max_array = 1;  // publish each frame alone: perhaps only one frame, or only the whole array, is too large
      } else if (outcome.kind != Kind::done) {
        outcome.delivered = delivered;
        co_return outcome;
      } else {
        delivered += array.size();
      }
    }
    outside::Outcome outcome;
    outcome.delivered = delivered;
    co_return outcome;
  }

 private:
  struct Doubt {
    std::int64_t first;
    std::int64_t last;
    Clock::time_point since;
  };

  // Waits until the Ably channel of the stream may get another publish.
  asio::awaitable<void> keep_distance(const std::string& stream_id) {
    if (distance_ == Clock::duration(0)) co_return;
    Clock::time_point& next = next_publish_[stream_id];
    const Clock::time_point now = Clock::now();
    const Clock::time_point due = std::max(now, next);
    next = due + distance_;
    if (due > now) co_await sleep_until(due);
  }

  std::string url_of(const std::string& stream_id) const {
    return url_prefix_ + client::http::percent_encode(outside::expand_template(channel_, stream_id)) + "/messages";
  }

  // Returns the number of frames for the next array. When an array in doubt begins at the same offset, the next array
  // gets the same frames. Otherwise it gets as many frames as ably.max_message_bytes allows, and at least one.
  std::size_t array_size(Frames rest) const {
    const auto doubt = doubts_.find(rest.front()->stream_id);
    if (doubt != doubts_.end() && doubt->second.first == rest.front()->offset) {
      const auto same = std::find_if(rest.begin(), rest.end(),
                                     [&](const FramePtr& frame) { return frame->offset == doubt->second.last; });
      if (same != rest.end()) return static_cast<std::size_t>(same - rest.begin()) + 1;
    }
    std::size_t count = 1;
    std::size_t bytes = size_of(*rest.front());
    while (count < rest.size() && (bytes += size_of(*rest[count])) <= max_bytes_) ++count;
    return count;
  }

  outside::Outcome prepare(Frames array, std::string& body) const {
    outside::Outcome outcome;
    if (size_of(*array.front()) > max_bytes_) {
      outcome.kind = Kind::dead;
      outcome.reason = "the frame has " + std::to_string(size_of(*array.front())) +
                       " bytes, and the limit is ably.max_message_bytes (" + std::to_string(max_bytes_) + ")";
    } else if (!append_messages(array, body)) {
      outcome.kind = Kind::dead;
      outcome.reason = "the frame is not UTF-8";
    }
    return outcome;
  }

  // Records whether the array is in doubt. When Ably refuses a retry, the array stays in doubt, because Ably may have
  // published the earlier attempt.
  void remember(Frames array, const client::http::Answer& answer, Kind kind) {
    const auto now = Clock::now();
    if (now >= next_sweep_) {
      std::erase_if(doubts_, [&](const auto& doubt) { return now - doubt.second.since > kRemembered; });
      std::erase_if(next_publish_, [&](const auto& publish) { return publish.second < now; });
      next_sweep_ = now + kRemembered;
    }
    const std::string& stream_id = array.front()->stream_id;
    if (in_doubt(answer)) {
      doubts_[stream_id] = Doubt{array.front()->offset, array.back()->offset, now};
    } else if (kind == Kind::done) {
      doubts_.erase(stream_id);
    }
  }

  client::http::Client client_;
  const std::string url_prefix_;  // the URL up to the name of the Ably channel
  const std::string channel_;
  const Clock::duration distance_;  // the least time between two publishes to one channel
  const std::size_t max_bytes_;
  const Secret key_;
  std::unordered_map<std::string, Doubt> doubts_;                    // by stream: the last array in doubt
  std::unordered_map<std::string, Clock::time_point> next_publish_;  // by stream: the earliest time of the next publish
  Clock::time_point next_sweep_{};
};

}  // namespace

std::unique_ptr<outside::Adapter> make_ably(asio::any_io_executor executor, const config::Settings& settings) {
  if (settings.ably.key_file.empty()) return nullptr;
  return std::make_unique<Ably>(std::move(executor), settings.ably);
}

}  // namespace sealcast::transport::ably
