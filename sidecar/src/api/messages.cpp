// GET /streams/{id}/messages: returns a page of a stream's history.
#include <memory>

#include "api/caller.h"
#include "api/database_failure.h"
#include "api/resume_point.h"
#include "api/routes.h"
#include "api/stream_access.h"
#include "base/log.h"
#include "core/history_page.h"

namespace sealcast::api {

namespace {

constexpr std::int64_t kDefaultLimit = 50;
constexpr std::int64_t kMaxLimit = 500;

// The range of offsets that the answer covers. `reset`: a bound of the request belongs to another log.
struct Range {
  std::optional<std::int64_t> after;
  std::optional<std::int64_t> before;
  bool reset = false;
};

// When a bound is foreign, both bounds say nothing about this log. A reader that goes forwards then gets the log from
// its oldest message on; a reader that goes backwards gets the newest messages.
Range range_of(const std::optional<ResumePoint>& after, const std::optional<ResumePoint>& before,
               const message::StreamAccess& stream) {
  const auto foreign = [&](const std::optional<ResumePoint>& bound) {
    return bound && bound->is_foreign_to(stream.log_epoch);
  };
  Range range;
  range.reset = foreign(after) || foreign(before);
  if (after) range.after = range.reset ? stream.first_offset - 1 : after->offset;
  if (before && !range.reset) range.before = before->offset;
  return range;
}

struct Messages {
  Callers& callers;
  const message::Cells& cells;
  message::History& history;

  asio::awaitable<void> answer(http::Exchange& exchange, std::string_view id) const;
};

asio::awaitable<void> Messages::answer(http::Exchange& exchange, std::string_view id) const {
  http::Response& response = exchange.response;
  const http::Request& request = exchange.request;
  std::string stream_id = stream_of_path(id, cells, exchange);
  if (stream_id.empty()) co_return;
  std::optional<ResumePoint> after, before;
  std::optional<std::int64_t> limit = kDefaultLimit;
  if (!read_resume_point("after", request.parameter("after"), 0, after, response) ||
      !read_resume_point("before", request.parameter("before"), 1, before, response) ||
      !http::read_whole_number("limit", request.parameter("limit"), 1, kMaxLimit, limit, response)) {
    co_return;
  }
  const auto channel = channel_parameter(request, transport::Channel::all_messages, response);
  if (!channel) co_return;
  auto caller = callers.reader(exchange, stream_id);
  if (!caller) co_return;
  auto stream = co_await readable_stream(exchange, caller->user_id, history.access(stream_id, caller->user_id));
  if (!stream) co_return;
  if (stream->log_epoch.empty()) {
    answer_database_unavailable(response);
    co_return;
  }
  try {
    const Range range = range_of(after, before, *stream);
    transport::FramePage page = co_await history.page(
        stream_id, range.after, range.before, static_cast<std::int32_t>(*limit), *channel, exchange.client_waits);
    std::string body = "{\"messages\":[";
    std::size_t bytes = 0;
    for (int row = 0; row < page.size(); ++row) {
      if (row > 0) body += ',';
      const transport::FrameRow frame = page[row];
      bytes += frame.envelope.size();
      transport::append_frame(frame.offset, frame.prev, frame.envelope, frame.redacted, body);
    }
    body += "],\"first\":" + std::to_string(stream->first_offset) + ",\"last\":" + std::to_string(stream->last_offset);
    body += ",\"epoch\":\"" + stream->log_epoch + '"';
    if (range.reset) body += R"(,"reset":true)";
    body += page.size() < *limit && bytes >= core::kMaxPageBytes ? R"(,"more":true})" : "}";
    http::answer_json(response, std::move(body));
  } catch (const postgres::Error& error) {
    log::write(log::Level::warn, log::tag::kDatabase, "cannot read a stream's history",
               {{"sqlstate", error.sqlstate()}, {"reason", std::string_view(error.what())}});
    answer_database_unavailable(response);
  }
}

}  // namespace

http::Handler messages(Callers& callers, const message::Cells& cells, message::History& history) {
  auto route = std::make_shared<const Messages>(Messages{.callers = callers, .cells = cells, .history = history});
  return [route](http::Exchange& exchange, std::string_view id) { return route->answer(exchange, id); };
}

}  // namespace sealcast::api
