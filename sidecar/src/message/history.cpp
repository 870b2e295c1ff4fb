// Calls the SQL functions stream_access() and history(), and lets equal access queries share one statement.
#include "message/history.h"

#include <boost/asio/append.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "message/reader_rights.h"

namespace sealcast::message {

using postgres::Params;
using postgres::Result;

asio::awaitable<StreamAccess> History::access(std::string_view stream_id, std::string_view user_id) {
  return asio::async_initiate<const asio::use_awaitable_t<>&, void(std::exception_ptr, StreamAccess)>(
      [this](auto handler, std::string_view stream, std::string_view user) {
        enqueue(stream, user, Handler(std::move(handler)));
      },
      asio::use_awaitable, stream_id, user_id);
}

void History::enqueue(std::string_view stream_id, std::string_view user_id, Handler handler) {
  std::string key(stream_id);
  key += user_id;
  AccessQuery& query = access_queries_[key];
  query.stream_id = stream_id;
  query.user_id = user_id;
  query.waiting.push_back(std::move(handler));
  if (!std::exchange(query.running, true)) {
    asio::co_spawn(executor_, run_access_queries(std::move(key)), asio::detached);
  }
}

// Runs the query again for callers that arrived after the statement was sent: the answer of that statement may be older
// than their call.
asio::awaitable<void> History::run_access_queries(std::string key) {
  while (true) {
    AccessQuery& query = access_queries_[key];
    std::vector<Handler> waiting = std::exchange(query.waiting, {});
    if (waiting.empty()) {
      access_queries_.erase(key);
      co_return;
    }
    Params params;
    params.add(postgres::uuid_bytes(query.stream_id));
    if (query.user_id.empty()) {
      params.add_null(postgres::oid::kUuid);
    } else {
      params.add(postgres::uuid_bytes(query.user_id));
    }
    std::exception_ptr failure;
    StreamAccess access{};
    try {
      Result rows = co_await pool_.query(
          "select found, readable, vip, ban is not null, first_offset, last_offset, ban, log_epoch, newest_redaction, "
          "noticed"
          " from sealcast_internal.stream_access($1, $2)",
          params);
      if (rows.size() > 0) {
        access = {rights_in(rows, 0),           rows.integer(0, 4), rows.integer(0, 5), std::nullopt,
                  std::string(rows.text(0, 7)), rows.integer(0, 8), rows.boolean(0, 9)};
        if (!rows.null(0, 6)) access.ban = rows.text(0, 6);
      }
    } catch (const std::exception&) {
      failure = std::current_exception();
    }
    for (Handler& handler : waiting) asio::post(executor_, asio::append(std::move(handler), failure, access));
  }
}

asio::awaitable<std::int64_t> History::redacted_offset(std::string_view stream_id) {
  Params params;
  params.add(postgres::uuid_bytes(stream_id));
  Result rows = co_await pool_.query("select sealcast_internal.redacted_offset($1)", params);
  co_return rows.integer(0, 0);
}

asio::awaitable<StreamState> History::state(std::string_view stream_id) {
  Params params;
  params.add(postgres::uuid_bytes(stream_id));
  Result rows = co_await pool_.query(
      "select last_offset, newest_redaction, log_epoch, \"offset\", public_prev, envelope"
      " from sealcast_internal.read_state($1) order by \"offset\"",
      params);
  StreamState state;
  for (int row = 0; row < rows.size(); ++row) {
    state.last_offset = rows.integer(row, 0);
    state.newest_redaction = rows.integer(row, 1);
    state.log_epoch = rows.null(row, 2) ? std::string_view() : rows.text(row, 2);
    if (rows.null(row, 3)) continue;
    state.messages.push_back({rows.integer(row, 3), rows.integer(row, 4), std::string(rows.text(row, 5))});
  }
  co_return state;
}

asio::awaitable<std::vector<std::string>> History::notices(std::string_view stream_id, std::string_view user_id) {
  Params params;
  params.add(postgres::uuid_bytes(stream_id));
  params.add(postgres::uuid_bytes(user_id));
  const Result rows =
      co_await pool_.query("select envelope from sealcast_internal.notices_of($1, $2) envelope", params);
  std::vector<std::string> envelopes;
  envelopes.reserve(static_cast<std::size_t>(rows.size()));
  for (int row = 0; row < rows.size(); ++row) envelopes.emplace_back(rows.text(row, 0));
  co_return envelopes;
}

asio::awaitable<transport::FramePage> History::page(std::string_view stream_id, std::optional<std::int64_t> after,
                                                    std::optional<std::int64_t> before, std::int32_t max_rows,
                                                    transport::Channel channel, std::function<bool()> wanted) {
  Params params;
  params.add(postgres::uuid_bytes(stream_id));
  for (auto bound : {after, before}) {
    if (bound) {
      params.add(*bound);
    } else {
      params.add_null(postgres::oid::kBigint);
    }
  }
  params.add(max_rows);
  params.add_boolean(channel == transport::Channel::everyone);
  postgres::Result rows = co_await pool_.query(
      "select \"offset\", prev, envelope, public_prev, redacted from sealcast_internal.read_history($1, $2, $3, $4, $5)"
      " order by \"offset\"",
      params, std::move(wanted));
  co_return transport::FramePage(std::move(rows), channel);
}

}  // namespace sealcast::message
