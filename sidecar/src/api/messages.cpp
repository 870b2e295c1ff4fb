// GET /streams/{id}/messages: returns a page of a stream's history.
#include <limits>
#include <memory>

#include "api/caller.h"
#include "api/database_failure.h"
#include "api/routes.h"
#include "api/stream_access.h"
#include "base/log.h"

namespace sealcast::api {

namespace {

constexpr std::int64_t kDefaultLimit = 50;
constexpr std::int64_t kMaxLimit = 500;
constexpr std::size_t kMaxPageBytes = 1 << 20;  // of envelopes; a page ends with the message that reaches it
constexpr std::int64_t kMaxOffset = std::numeric_limits<std::int64_t>::max();

// Returns the range [first, second) of the rows that fit in one answer. The range has the first rows of `page`, or its
// last rows for a caller that reads backwards.
std::pair<int, int> rows_that_fit(const transport::FramePage& page, bool forwards) {
  std::size_t bytes = 0;
  int count = 0;
  for (; count < page.size() && bytes < kMaxPageBytes; ++count) {
    bytes += page[forwards ? count : page.size() - 1 - count].envelope.size();
  }
  return forwards ? std::pair(0, count) : std::pair(page.size() - count, page.size());
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
  std::optional<std::int64_t> after, before, limit = kDefaultLimit;
  if (!http::read_whole_number("after", request.parameter("after"), 0, kMaxOffset, after, response) ||
      !http::read_whole_number("before", request.parameter("before"), 1, kMaxOffset, before, response) ||
      !http::read_whole_number("limit", request.parameter("limit"), 1, kMaxLimit, limit, response)) {
    co_return;
  }
  const auto channel = channel_parameter(request, transport::Channel::all_messages, response);
  if (!channel) co_return;
  auto caller = callers.reader(exchange, stream_id);
  if (!caller) co_return;
  auto stream = co_await readable_stream(exchange, caller->user_id, history.access(stream_id, caller->user_id));
  if (!stream) co_return;
  try {
    transport::FramePage page =
        co_await history.page(stream_id, after, before, static_cast<std::int32_t>(*limit), *channel);
    const auto [begin, end] = rows_that_fit(page, after.has_value());
    std::string body = "{\"messages\":[";
    for (int row = begin; row < end; ++row) {
      if (row > begin) body += ',';
      transport::FrameRow frame = page[row];
      transport::append_frame(frame.offset, frame.prev, frame.envelope, body);
    }
    body += "],\"first\":" + std::to_string(stream->first_offset) + ",\"last\":" + std::to_string(stream->last_offset);
    body += end - begin < page.size() ? R"(,"more":true})" : "}";
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
