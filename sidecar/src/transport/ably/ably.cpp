// Publishing by POST {url}/channels/{channel}/messages with an array of messages, 201 is success.
// https://ably.com/docs/api/rest-api#publish
//
// An array is published as a whole or not at all, so frames stay in order whatever fails, and counts once against the
// channel's rate. It has one idempotency key, the base of its ids "base:0", "base:1", …, which Ably remembers for two
// minutes (https://ably.com/docs/pub-sub/advanced#idempotency). So the base names exactly the frames in the array: the
// stream, the first and the last offset. Two arrays never share one, and nothing is lost to a false repeat. A retry of
// an array whose fate is unknown is cut as that array was, and is recognised. Where it cannot be (another sidecar goes
// on, or too late), readers may see frames twice and drop them by their offset, as with every transport.
//
// Not the batch endpoint (POST /messages, https://ably.com/docs/messages/batch): with a frame in each of its items,
// each would succeed or fail for itself and a later frame could pass an earlier one; with several channels in a
// request, all of them would wait for the slowest.
#include "transport/ably/ably.h"

#include <algorithm>
#include <unordered_map>

#include "client/http/client.h"
#include "core/json_string.h"
#include "core/token/base64.h"
#include "transport/ably/key.h"
#include "transport/ably/verdict.h"

namespace sealcast::transport::ably {
namespace {

using Kind = outside::Outcome::Kind;
using Frames = std::span<const FramePtr>;

constexpr std::size_t kMaxBatch = 128;
constexpr std::string_view kName = "message";   // of each message, as subscribers filter by it
constexpr std::chrono::minutes kRemembered{2};  // how long Ably knows an id again
constexpr std::string_view kVersion = "X-Ably-Version: 1.2";

// As Ably counts: https://github.com/ably/specification, TM6.
std::size_t size_of(const Frame& frame) { return kName.size() + frame.text.size(); }

// Data is the frame's text as a string that subscribers' libraries parse: {"encoding":"json"} (specification, RSL4d3).
// False when a text is not UTF-8.
bool append_messages(Frames frames, std::string& out) {
  const std::string base = frames.front()->stream_id + "-" + std::to_string(frames.front()->offset) + "-" +
                           std::to_string(frames.back()->offset) + ":";
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

class Ably : public outside::Adapter {
 public:
  Ably(asio::any_io_executor executor, const config::Settings::Ably& settings)
      : client_(std::move(executor), client::http::ClientOptions{.ca_file = settings.ca_file}),
        base_(settings.url + (settings.url.ends_with('/') ? "" : "/") + "channels/"),
        channel_(settings.channel),
        max_bytes_(settings.max_message_bytes),
        headers_{
            "Content-Type: application/json", "Accept: application/json", std::string(kVersion),
            "Authorization: Basic " + core::token::encode_base64(read_key("ably.key_file", settings.key_file).text)} {}

  std::size_t max_batch() const override { return kMaxBatch; }
  void start() override {}
  void stop() override { client_.stop(); }

  asio::awaitable<outside::Outcome> publish(Frames frames, Clock::time_point deadline) override {
    std::size_t delivered = 0;
    std::size_t most = frames.size();
    while (delivered < frames.size()) {
      const Frames rest = frames.subspan(delivered);
      const Frames array = rest.first(std::min(cut(rest), most));
      std::string body;
      outside::Outcome outcome = prepare(array, body);
      if (outcome.kind == Kind::done) {
        client::http::Post request{url_of(array.front()->stream_id), headers_, body};
        const client::http::Answer answer = co_await client_.post(std::move(request), deadline);
        outcome = outcome_of(answer);
        remember(array, answer, outcome.kind);
        if (answer.late && delivered > 0) outcome.kind = Kind::retry_stream;  // slow, not away
      }
      if (outcome.kind == Kind::dead && array.size() > 1) {
        most = 1;  // one of them, or all together: each alone shows which
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

  std::string url_of(const std::string& stream_id) const {
    return base_ + client::http::percent_encode(outside::expand_template(channel_, stream_id)) + "/messages";
  }

  // How many of the frames make the next array: as many as the one in doubt had, else as many as the limit takes.
  std::size_t cut(Frames rest) const {
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
      outcome.reason = "its " + std::to_string(size_of(*array.front())) + " bytes are over ably.max_message_bytes (" +
                       std::to_string(max_bytes_) + ")";
    } else if (!append_messages(array, body)) {
      outcome.kind = Kind::dead;
      outcome.reason = "it is not UTF-8";
    }
    return outcome;
  }

  // A refusal says nothing of an earlier attempt: what was in doubt before it still is.
  void remember(Frames array, const client::http::Answer& answer, Kind kind) {
    const auto now = Clock::now();
    if (now >= next_sweep_) {
      std::erase_if(doubts_, [&](const auto& doubt) { return now - doubt.second.since > kRemembered; });
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
  const std::string base_;
  const std::string channel_;
  const std::size_t max_bytes_;
  const std::vector<std::string> headers_;
  std::unordered_map<std::string, Doubt> doubts_;  // by stream: the array that Ably may have published
  Clock::time_point next_sweep_{};
};

}  // namespace

std::unique_ptr<outside::Adapter> make_ably(asio::any_io_executor executor, const config::Settings& settings) {
  if (settings.ably.key_file.empty()) return nullptr;
  return std::make_unique<Ably>(std::move(executor), settings.ably);
}

}  // namespace sealcast::transport::ably
