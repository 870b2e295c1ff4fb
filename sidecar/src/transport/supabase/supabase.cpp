// Broadcasts each frame by POST {url}/api/broadcast/{topic}/events/{event}?private=…, with the frame as the JSON body.
// The status 202 is success. The batch endpoint of Realtime cannot be used, because it also answers 202 when it has
// dropped private messages.
//
// Sources of paths, codes and bodies: https://github.com/supabase/realtime, version 2.129.8:
//   lib/realtime_web/router.ex, lib/realtime_web/controllers/broadcast_single_controller.ex and fallback_controller.ex,
//   lib/realtime/tenants/single_broadcast.ex, lib/realtime_web/plugs/{auth_tenant,rate_limiter,assign_tenant}.ex
// Guide: https://supabase.com/docs/guides/realtime/broadcast. Limits: https://supabase.com/docs/guides/realtime/limits
#include "transport/supabase/supabase.h"

#include <algorithm>

#include "base/secret.h"
#include "client/http/client.h"
#include "core/token/secret_file.h"
#include "transport/supabase/load.h"
#include "transport/supabase/outcome.h"

namespace sealcast::transport::supabase {
namespace {

using Kind = outside::Outcome::Kind;

constexpr std::size_t kMaxBatch = 16;  // frames are sent one by one, so a larger batch would only take longer

constexpr std::chrono::seconds kSlowDown{1};  // Realtime computes its averages anew each second

std::string read_key(const std::string& setting, const std::string& file) {
  std::string key = core::token::read_secret_file(setting, file);
  if (std::all_of(key.begin(), key.end(), [](char c) { return c > 0x20 && c < 0x7f; })) return key;
  throw core::SettingsError(setting + ": the file \"" + file + "\" must contain one line with one key; write the " +
                            "project's secret key (or its service_role key) into it, and nothing else");
}

// Returns the headers of each request. A secret key (sb_secret_…) is not a JWT, so it is not sent in `Authorization`.
// The gateway of Supabase reads it from the header `apikey`, and passes a JWT to Realtime instead.
// https://supabase.com/docs/guides/api/api-keys
std::vector<std::string> headers_for(const std::string& key) {
  std::vector<std::string> headers = {"Content-Type: application/json", "Accept: application/json", "apikey: " + key};
  if (!key.starts_with("sb_")) headers.push_back("Authorization: Bearer " + key);
  return headers;
}

class Supabase : public outside::Adapter {
 public:
  Supabase(asio::any_io_executor executor, const config::Settings::Supabase& settings)
      : client_(std::move(executor), client::http::ClientOptions{.ca_file = settings.ca_file}),
        url_prefix_(settings.url + (settings.url.ends_with('/') ? "" : "/") + "api/broadcast/"),
        topic_(settings.topic),
        url_suffix_("/events/" + client::http::percent_encode(settings.event) +
                    (settings.channels == "private" ? "?private=true" : "?private=false")),
        key_("supabase.key_file", settings.key_file, read_key) {}

  std::size_t max_batch() const override { return kMaxBatch; }
  void count_in(Metrics& metrics, const StreamViewers& viewers) override {
    load_.count_in(metrics);
    viewers_ = &viewers;
  }
  void start() override {}
  void stop() override { client_.stop(); }

  asio::awaitable<outside::Outcome> publish(std::span<const FramePtr> frames, Clock::time_point deadline) override {
    std::size_t delivered = 0;
    outside::Outcome outcome;
    while (outcome.kind == Kind::done && delivered < frames.size()) {
      const Frame& frame = *frames[delivered];
      const std::string key = key_.text();
      const std::vector<std::string> headers = headers_for(key);
      client::http::Post request{url_of(frame.stream_id), headers, frame.text};
      const client::http::Answer answer = co_await client_.post(std::move(request), deadline);
      if (answer.status == client::http::kUnauthorized) key_.read_again(key);
      outcome = outcome_of(answer);
      if (outcome.kind == Kind::done) {
        ++delivered;
        load_.add(viewers_ == nullptr ? 0 : viewers_->of(frame.stream_id), answer, Clock::now());
        slow_down_if_due(answer, outcome);
      } else if (answer.late && delivered > 0) {
        outcome.kind = Kind::retry_stream;  // the service is slow, but available: it has accepted frames
      }
    }
    outcome.delivered = delivered;
    co_return outcome;
  }

 private:
  static void slow_down_if_due(const client::http::Answer& answer, outside::Outcome& outcome) {
    std::string reason = near_request_limit(answer);
    if (reason.empty()) return;
    outcome = {.kind = Kind::slow_down, .after = kSlowDown, .reason = std::move(reason)};
  }

  std::string url_of(const std::string& stream_id) const {
    return url_prefix_ + client::http::percent_encode(outside::expand_template(topic_, stream_id)) + url_suffix_;
  }

  client::http::Client client_;
  const std::string url_prefix_;  // the URL up to the topic
  const std::string topic_;
  const std::string url_suffix_;  // the URL after the topic
  const Secret key_;
  Load load_;
  const StreamViewers* viewers_ = nullptr;
};

}  // namespace

std::unique_ptr<outside::Adapter> make_supabase(asio::any_io_executor executor, const config::Settings& settings) {
  if (settings.supabase.url.empty()) return nullptr;
  return std::make_unique<Supabase>(std::move(executor), settings.supabase);
}

}  // namespace sealcast::transport::supabase
