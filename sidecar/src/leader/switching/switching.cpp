// A tick: asks what is due, takes it, tells the webhook.
#include "leader/switching/switching.h"

#include <algorithm>
#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <utility>
#include <vector>

#include "base/log.h"
#include "client/postgres/params.h"
#include "core/json_string.h"

namespace sealcast::leader::switching {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr char kDue[] =
    "select stream_id, action, step, viewers, warm_up "
    "from sealcast.due_switches($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
constexpr char kSwitch[] = "select sealcast.switch_stream($1, $2, $3, $4, $5, $6)";
constexpr milliseconds kFirstPause{1000};
constexpr milliseconds kLongestPause{30'000};

std::int32_t count(milliseconds time) { return static_cast<std::int32_t>(time.count()); }

// Steps that send a transport_migrate.
bool migrates(std::string_view action) { return action == "join" || action == "leave" || action == "repeat"; }

// Settings are UTF-8 (toml), and so is what is made of them.
void append_string(std::string_view name, std::string_view value, std::string& json) {
  core::Fault fault;
  json.append(",\"").append(name).append("\":");
  if (!core::append_json_string(value, json, fault)) json += "null";
}

}  // namespace

Switching::Switching(asio::any_io_executor executor, SwitchingSettings settings, Parts parts)
    : executor_(executor),
      settings_(std::move(settings)),
      parts_(std::move(parts)),
      loop_(
          executor,
          {settings_.dsn, "switching", settings_.timeout, log::tag::kSwitching, "cannot switch streams; trying again"},
          parts_.leads, [this](const LedShards& led) { return tick(led); }) {}

void Switching::stop() {
  loop_.stop();
  if (parts_.webhook) parts_.webhook->stop();
}

asio::awaitable<void> Switching::tick(const LedShards& led) {
  if (led.shards.empty()) {
    show({});
    co_return;
  }
  const std::vector<Step> steps = co_await due(led);
  show(steps);
  for (const Step& step : steps) {
    if (step.action.empty()) continue;
    if (step.action == "notify") {
      notify(step);
      continue;
    }
    // The probe is to go to a transport that already carries the stream.
    if (step.action == "probe") co_await parts_.reroute();
    if (!co_await take(led, step)) continue;
    log::write(log::Level::info, log::tag::kSwitching, "a stream was taken one step on",
               {{"stream_id", step.stream_id},
                {"from", step.step},
                {"action", step.action},
                {"viewers", std::int64_t{step.viewers}}});
    parts_.metrics.switches(step.action).Increment();
    if (step.action == "probe" || migrates(step.action)) parts_.told();
    if (step.action != "probe" && step.action != "repeat") co_await parts_.reroute();
  }
}

asio::awaitable<std::vector<Switching::Step>> Switching::due(const LedShards& led) {
  postgres::Params params;
  led.add_to(params);
  if (settings_.target.empty()) {
    params.add_null(postgres::oid::kText);
  } else {
    params.add(std::string_view(settings_.target));
  }
  for (const std::int32_t value : {settings_.soft, settings_.hard, settings_.low, count(settings_.hold),
                                   count(settings_.window), count(settings_.repeat)}) {
    params.add(value);
  }
  params.add_boolean(parts_.webhook != nullptr);
  const postgres::Result rows = co_await loop_.connection().query(kDue, params);
  std::vector<Step> steps;
  for (int row = 0; row < rows.size(); ++row) {
    Step step{rows.uuid(row, 0), std::string(rows.text(row, 1)), std::string(rows.text(row, 2)),
              static_cast<std::int32_t>(rows.integer(row, 3)), rows.uuid(row, 4)};
    steps.push_back(std::move(step));
  }
  co_return steps;
}

asio::awaitable<bool> Switching::take(const LedShards& led, const Step& step) {
  postgres::Params params;
  led.add_to(params);
  params.add(postgres::uuid_bytes(step.stream_id));
  params.add(std::string_view(step.action));
  if (step.warm_up.empty()) {
    params.add_null(postgres::oid::kUuid);
  } else {
    params.add(postgres::uuid_bytes(step.warm_up));
  }
  params.add(std::string_view(migrate(step)));
  const postgres::Result rows = co_await loop_.connection().query(kSwitch, params);
  co_return rows.boolean(0, 0);
}

// d of the transport_migrate, where the step sends one.
std::string Switching::migrate(const Step& step) const {
  if (!migrates(step.action)) return {};
  const bool home = step.action == "leave" || step.step == "leaving";
  const std::string& target = home ? settings_.home : settings_.target;
  std::string d = R"({"type":"migrate")";
  append_string("target", target, d);
  if (const std::string channel = parts_.channel_of(target, step.stream_id); !channel.empty()) {
    append_string("channel_id", channel, d);
    const std::string ticket = parts_.ticket(target, step.stream_id);
    if (!ticket.empty()) append_string("token", ticket, d);
  }
  return d + R"(,"overlap_ms":)" + std::to_string(settings_.overlap.count()) + "}";
}

void Switching::notify(const Step& step) {
  const std::string id = (step.step == "cooling" ? "cool_down-" : "warm_up-") + step.warm_up;
  Notice& notice = notices_[id];
  if (notice.under_way || Clock::now() < notice.next) return;
  notice.under_way = true;
  asio::co_spawn(executor_, call_webhook(step, id), asio::detached);
}

asio::awaitable<void> Switching::call_webhook(Step step, std::string id) {
  const std::string type = id.substr(0, id.find('-'));
  const std::string body = R"({"type":"stream.)" + type + R"(","data":{"stream_id":")" + step.stream_id +
                           R"(","viewers":)" + std::to_string(step.viewers) + "}}";
  std::string problem = co_await parts_.webhook->call(id, body);
  if (problem.empty()) {
    try {
      const LedShards led = loop_.led();
      co_await take(led, step);
      log::write(log::Level::info, log::tag::kSwitching, "the webhook was told",
                 {{"stream_id", step.stream_id}, {"event", type}});
      notices_.erase(id);
      co_return;
    } catch (const postgres::Error& error) {
      problem = error.what();  // told, and not noted: it is told once more
    }
  }
  Notice& notice = notices_[id];
  notice.pause = std::clamp(2 * notice.pause, kFirstPause, kLongestPause);
  notice.next = Clock::now() + notice.pause;
  notice.under_way = false;
  log::write(log::Level::warn, log::tag::kSwitching, "the webhook was not told; trying again",
             {{"stream_id", step.stream_id}, {"event", type}, {"reason", problem}});
}

void Switching::show(const std::vector<Step>& steps) {
  constexpr std::array<std::string_view, 6> kSteps{"standard", "warming", "joining", "hot", "leaving", "cooling"};
  for (const std::string_view name : kSteps) {
    const auto there = std::ranges::count_if(steps, [name](const Step& step) {
      return step.step == name && step.action != "notify" && !step.warm_up.empty();
    });
    parts_.metrics.switching_streams(name).Set(static_cast<double>(there));
  }
  std::erase_if(notices_, [&](const auto& notice) {
    return !notice.second.under_way && std::ranges::none_of(steps, [&](const Step& step) {
      return step.action == "notify" && notice.first.ends_with(step.warm_up);
    });
  });
}

}  // namespace sealcast::leader::switching
