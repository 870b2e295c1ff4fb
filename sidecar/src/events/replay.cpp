// Asks Postgres which messages to replay, reads them from the history page by page, and adds each page to the event
// partitions.
#include "events/replay.h"

#include <unistd.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <charconv>
#include <iostream>
#include <optional>
#include <vector>

#include "base/asio.h"
#include "base/event.h"
#include "base/progress.h"
#include "client/postgres/connection.h"
#include "core/uuid.h"
#include "events/event_partitions.h"
#include "transport/redis_streams/service.h"

namespace sealcast::events {
namespace {

using Clock = std::chrono::steady_clock;
using transport::outside::Outcome;

constexpr char kPlan[] =
    "select stream_id, first_offset, last_offset from sealcast_internal.replay_plan($1::timestamptz, $2)";
constexpr char kBounds[] =
    "select first_offset, last_offset from sealcast_internal.stream_access($1, null) where found";
constexpr char kPage[] =
    "select \"offset\", prev, envelope, redacted from sealcast_internal.read_history($1, $2, null, $3, false)";

constexpr char kCount[] = "select sealcast_internal.event_partition_count($1)";

constexpr std::int32_t kPageRows = 1000;
constexpr std::size_t kMaxBatch = 256;  // frames per add()
// A partition with more unfinished entries gets none. A worker finishes so many within about a second, so new messages
// do not wait longer.
constexpr std::int64_t kMaxUnfinished = 1000;
constexpr std::chrono::minutes kPlanTimeout{10};  // for each statement; the plan may take this long
constexpr std::chrono::seconds kConnectTimeout{10};
constexpr std::chrono::milliseconds kPauseBeforeRetry{200};
constexpr std::chrono::seconds kReportEvery{5};

// Consecutive messages of one stream.
struct Range {
  std::string stream_id;
  std::int64_t first;
  std::int64_t last;
};

std::optional<std::int64_t> as_offset(const std::string& from) {
  std::int64_t offset = 0;
  const auto [end, error] = std::from_chars(from.data(), from.data() + from.size(), offset);
  if (error != std::errc() || end != from.data() + from.size() || offset < 1) return std::nullopt;
  return offset;
}

class Replay {
 public:
  Replay(asio::io_context& context, const config::Settings& settings, const ReplayRequest& request)
      : settings_(settings),
        request_(request),
        connection_(postgres::Connection::create(context.get_executor(), {settings.relay.dsn, "replay", kPlanTimeout})),
        partitions_(context.get_executor(), settings.redis_events,
                    transport::redis_streams::service_options("redis_events", settings.redis_events,
                                                              settings.delivery.timeout)) {}

  asio::awaitable<void> run() {
    connection_->start();
    partitions_.start();
    const bool connected = co_await connection_->wait_connected(Clock::now() + kConnectTimeout);
    if (!connected) throw std::runtime_error("cannot connect to Postgres with relay.dsn");
    partitions_.set_count(co_await count());
    const std::vector<Range> ranges = co_await plan();
    for (const Range& range : ranges) total_ += range.last - range.first + 1;
    Progress progress(::isatty(STDOUT_FILENO) == 1, Clock::now());
    for (const Range& range : ranges) co_await add_range(range, progress);
    const std::size_t now = co_await count();
    if (now != partitions_.count()) {
      throw std::runtime_error("the number of event partitions has changed during the replay; run it again");
    }
    std::cout << progress.end(work(), Clock::now()) << std::flush;
    connection_->stop();
    partitions_.stop();
  }

 private:
  asio::awaitable<std::size_t> count() {
    postgres::Params params;
    params.add(static_cast<std::int32_t>(settings_.redis_events.partitions));
    const postgres::Result rows = co_await connection_->query(kCount, params);
    co_return static_cast<std::size_t>(rows.integer(0, 0));
  }

  asio::awaitable<std::vector<Range>> plan() {
    postgres::Params params;
    std::vector<Range> ranges;
    std::string stream_id;
    if (!request_.stream_id.empty() && !core::normalize_uuid(request_.stream_id, stream_id)) {
      throw core::SettingsError("--stream is \"" + request_.stream_id +
                                "\", which is not a UUID; write the id of a stream");
    }
    if (const auto offset = as_offset(request_.from)) {
      if (stream_id.empty()) {
        throw core::SettingsError(
            "--from is an offset, and offsets belong to one stream; add --stream, or write a time");
      }
      params.add(postgres::uuid_bytes(stream_id));
      const postgres::Result rows = co_await connection_->query(kBounds, params);
      if (rows.size() == 0)
        throw core::SettingsError("--stream names " + stream_id +
                                  ", and there is no such stream; write the id of a stream");
      const std::int64_t first = std::max(*offset, rows.integer(0, 0));
      if (first <= rows.integer(0, 1)) ranges.push_back({stream_id, first, rows.integer(0, 1)});
      co_return ranges;
    }
    params.add(std::string_view(request_.from));
    if (stream_id.empty()) {
      params.add_null(postgres::oid::kUuid);
    } else {
      params.add(postgres::uuid_bytes(stream_id));
    }
    const postgres::Result rows = co_await connection_->query(kPlan, params);
    for (int row = 0; row < rows.size(); ++row) {
      ranges.push_back({rows.uuid(row, 0), rows.integer(row, 1), rows.integer(row, 2)});
    }
    co_return ranges;
  }

  asio::awaitable<void> add_range(const Range& range, Progress& progress) {
    for (std::int64_t next = range.first; next <= range.last;) {
      postgres::Params params;
      params.add(postgres::uuid_bytes(range.stream_id));
      params.add(next - 1);
      params.add(kPageRows);
      const postgres::Result rows = co_await connection_->query(kPage, params);
      if (rows.size() == 0) break;
      std::vector<transport::FramePtr> frames;
      const std::int64_t before = next;
      for (int row = 0; row < rows.size() && next <= range.last; ++row) {
        transport::Frame frame{
            .stream_id = range.stream_id, .offset = rows.integer(row, 0), .prev = rows.integer(row, 1)};
        if (frame.offset > range.last) break;
        next = frame.offset + 1;
        if (rows.null(row, 2)) continue;  // retention has removed the message
        frames.push_back(transport::make_frame(std::move(frame), rows.text(row, 2), rows.text(row, 3)));
      }
      if (next == before) break;
      const std::size_t batch = batch_size();
      for (std::size_t i = 0; i < frames.size(); i += batch) {
        const std::size_t count = std::min(batch, frames.size() - i);
        co_await add(std::span(frames).subspan(i, count));
        done_ += static_cast<std::int64_t>(count);
        std::cout << progress.at(work(), Clock::now()) << std::flush;
        co_await keep_rate(count);
      }
    }
  }

  Progress::Work work() const {
    return {done_, total_, done_, std::to_string(done_) + " of " + std::to_string(total_) + " messages"};
  }

  // A slow replay adds small batches, so that it adds several per second.
  std::size_t batch_size() const {
    return request_.rate == 0 ? kMaxBatch
                              : std::clamp<std::size_t>(static_cast<std::size_t>(request_.rate) / 4, 1, kMaxBatch);
  }

  // Pauses after `count` messages were added. A pause that was longer than the rate asks for is not made up later.
  asio::awaitable<void> keep_rate(std::size_t count) {
    if (request_.rate == 0) co_return;
    const std::chrono::nanoseconds span{count * 1'000'000'000 / static_cast<std::size_t>(request_.rate)};
    next_add_ = std::max(next_add_, Clock::now() - span) + span;
    if (next_add_ > Clock::now()) co_await sleep_for(next_add_ - Clock::now());
  }

  // Returns the reason why no messages may be added now, or an empty string.
  asio::awaitable<std::string> reason_to_wait() {
    const int used = co_await partitions_.memory_percent();
    if (used >= settings_.redis_events.max_memory_percent) {
      co_return "Redis uses " + std::to_string(used) + " % of its maxmemory";
    }
    if (request_.rate == 0) co_return std::string();
    const std::vector<std::string> registered = co_await registered_groups(*connection_);
    for (std::size_t n = 0; n < partitions_.count(); ++n) {
      const auto groups = co_await partitions_.trim(n, registered, settings_.redis_events.max_age);
      if (!groups) co_return "Redis does not say which entries the groups have finished";
      for (const GroupProgress& group : *groups) {
        const std::int64_t unfinished = group.pending + std::max<std::int64_t>(group.unread, 0);
        if (unfinished <= kMaxUnfinished) continue;
        co_return "the group " + group.name + " has many unfinished entries; its workers must finish some, or use " +
            "--rate 0";
      }
    }
    co_return std::string();
  }

  asio::awaitable<void> add(std::span<const transport::FramePtr> frames) {
    std::string printed;
    while (true) {
      std::string reason = co_await reason_to_wait();
      if (reason.empty()) {
        const Outcome outcome = co_await partitions_.add(frames, Clock::now() + settings_.delivery.timeout);
        if (outcome.kind == Outcome::Kind::done) co_return;
        reason = outcome.reason;
      }
      // A group that keeps up pauses the replay often, and briefly.
      if (reason != printed && Clock::now() >= next_report_) {
        std::cerr << "waiting: " << reason << '\n';
        next_report_ = Clock::now() + kReportEvery;
        printed = reason;
      }
      co_await sleep_for(kPauseBeforeRetry);
    }
  }

  const config::Settings& settings_;
  const ReplayRequest& request_;
  std::shared_ptr<postgres::Connection> connection_;
  EventPartitions partitions_;
  Clock::time_point next_add_{};
  Clock::time_point next_report_{};
  std::int64_t total_ = 0;
  std::int64_t done_ = 0;
};

}  // namespace

void replay(const config::Settings& settings, const ReplayRequest& request) {
  if (settings.redis_events.url.empty()) {
    throw core::SettingsError(
        "redis_events.url is empty, so there are no event partitions; write the URL that the workers use");
  }
  asio::io_context context(1);
  Replay replay(context, settings, request);
  std::exception_ptr failure;
  asio::co_spawn(context, replay.run(), [&](std::exception_ptr error) {
    failure = error;
    context.stop();
  });
  context.run();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace sealcast::events
