// The statements that read, each one function of the extension.
#include "history/history.h"

namespace sealcast {

using pg::Params;
using pg::Result;

asio::awaitable<StreamAccess> History::access(std::string_view stream_id, std::string_view user_id) {
  Params params;
  params.add(pg::uuid_bytes(stream_id));
  if (user_id.empty()) {
    params.add_null(pg::oid::kUuid);
  } else {
    params.add(pg::uuid_bytes(user_id));
  }
  Result rows = co_await pool_.query(
      "select found, readable, visibility = 'private', first_offset, last_offset from sealcast.stream_access($1, $2)",
      params);
  if (rows.size() == 0) co_return StreamAccess{};
  co_return StreamAccess{rows.boolean(0, 0), rows.boolean(0, 1), rows.boolean(0, 2), rows.integer(0, 3),
                         rows.integer(0, 4)};
}

asio::awaitable<HistoryPage> History::page(std::string_view stream_id, std::optional<std::int64_t> after,
                                           std::optional<std::int64_t> before, std::int32_t max_rows) {
  Params params;
  params.add(pg::uuid_bytes(stream_id));
  for (auto bound : {after, before}) {
    if (bound) {
      params.add(*bound);
    } else {
      params.add_null(pg::oid::kBigint);
    }
  }
  params.add(max_rows);
  co_return HistoryPage(co_await pool_.query(
      "select \"offset\", prev, envelope from sealcast.history($1, after => $2, before => $3, max_rows => $4)",
      params));
}

asio::awaitable<std::vector<TypeRow>> PostgresLimits::gate_limits() {
  Result rows =
      co_await pool_.query("select t, max_bytes, rate, role_rates::text, system_only from sealcast.gate_limits()");
  std::vector<TypeRow> types;
  for (int row = 0; row < rows.size(); ++row) {
    types.push_back({std::string(rows.text(row, 0)), static_cast<int>(rows.integer(row, 1)),
                     static_cast<int>(rows.integer(row, 2)), std::string(rows.text(row, 3)), rows.boolean(row, 4)});
  }
  co_return types;
}

asio::awaitable<std::vector<std::string>> PostgresLimits::roles_of(std::vector<Membership> memberships) {
  Params params;
  params.begin_array(pg::oid::kUuidArray, pg::oid::kUuid, memberships.size());
  for (const Membership& membership : memberships) params.element(pg::uuid_bytes(membership.stream_id));
  params.end_array();
  params.begin_array(pg::oid::kUuidArray, pg::oid::kUuid, memberships.size());
  for (const Membership& membership : memberships) params.element(pg::uuid_bytes(membership.user_id));
  params.end_array();
  Result rows = co_await pool_.query("select item, role from sealcast.roles_of($1, $2)", params);
  std::vector<std::string> roles(memberships.size());
  for (int row = 0; row < rows.size(); ++row) {
    auto item = static_cast<std::size_t>(rows.integer(row, 0));
    if (item >= 1 && item <= roles.size()) roles[item - 1] = rows.text(row, 1);
  }
  co_return roles;
}

}  // namespace sealcast
