// GET /streams/{id}/state: returns the retained messages of a stream, for readers of transports that do not bring them.
#include <memory>

#include "api/caller.h"
#include "api/database_failure.h"
#include "api/routes.h"
#include "api/stream_access.h"
#include "message/stream_states.h"

namespace sealcast::api {

namespace {

struct State {
  Callers& callers;
  const message::Cells& cells;
  message::History& history;
  message::StreamStates& states;

  asio::awaitable<void> answer(http::Exchange& exchange, std::string_view id) const;
};

asio::awaitable<void> State::answer(http::Exchange& exchange, std::string_view id) const {
  http::Response& response = exchange.response;
  std::string stream_id = stream_of_path(id, cells, exchange);
  if (stream_id.empty()) co_return;
  const auto channel = channel_parameter(exchange.request, transport::Channel::all_messages, response);
  if (!channel) co_return;
  auto caller = callers.reader(exchange, stream_id);
  if (!caller) co_return;
  auto stream = co_await readable_stream(exchange, caller->user_id, history.access(stream_id, caller->user_id));
  if (!stream) co_return;
  try {
    const message::StreamStates::Current current = co_await states.read(stream_id, stream->newest_redaction);
    if (current.state->log_epoch.empty()) {
      answer_database_unavailable(response);
      co_return;
    }
    std::string body = "{\"messages\":[";
    for (const message::RetainedMessage& message : current.state->messages) {
      if (body.back() != '[') body += ',';
      message::append_retained_frame(message, *channel, body);
    }
    body += "],\"last\":" + std::to_string(current.as_of) + ",\"epoch\":\"" + current.state->log_epoch + "\"}";
    http::answer_json(response, std::move(body));
  } catch (const postgres::Error& error) {
    answer_database_failure(error, "cannot read the state of a stream", response);
  }
}

}  // namespace

http::Handler stream_state(Callers& callers, const message::Cells& cells, message::History& history,
                           message::StreamStates& states) {
  auto route =
      std::make_shared<const State>(State{.callers = callers, .cells = cells, .history = history, .states = states});
  return [route](http::Exchange& exchange, std::string_view id) { return route->answer(exchange, id); };
}

}  // namespace sealcast::api
