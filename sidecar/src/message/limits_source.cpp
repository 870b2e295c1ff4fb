// Reads message types, rules and roles by the SQL functions gate_limits(), gate_rules() and roles_of().
#include "message/limits_source.h"

namespace sealcast::message {

using postgres::Params;
using postgres::Result;

asio::awaitable<std::vector<TypeRow>> PostgresLimits::gate_limits() {
  Result rows = co_await pool_.query(
      "select t, max_bytes, rate, role_rates::text, system_only, tier from sealcast_internal.gate_limits()");
  std::vector<TypeRow> types;
  types.reserve(static_cast<std::size_t>(rows.size()));
  for (int row = 0; row < rows.size(); ++row) {
    types.push_back({std::string(rows.text(row, 0)), static_cast<int>(rows.integer(row, 1)),
                     static_cast<int>(rows.integer(row, 2)), std::string(rows.text(row, 3)), rows.boolean(row, 4),
                     static_cast<int>(rows.integer(row, 5))});
  }
  co_return types;
}

asio::awaitable<std::vector<RuledStream>> PostgresLimits::gate_rules() {
  Result rows = co_await pool_.query(
      "select stream_id, coalesce(slow_mode_s, 0), coalesce(unique_s, 0), coalesce(raid_copies, 0),"
      " coalesce(raid_within_s, 0), coalesce(rate, '{}')::text from sealcast_internal.gate_rules()");
  std::vector<RuledStream> streams;
  streams.reserve(static_cast<std::size_t>(rows.size()));
  for (int row = 0; row < rows.size(); ++row) {
    const StreamLimits limits{std::chrono::seconds(rows.integer(row, 1)), std::chrono::seconds(rows.integer(row, 2)),
                              static_cast<int>(rows.integer(row, 3)), std::chrono::seconds(rows.integer(row, 4))};
    streams.push_back({rows.uuid(row, 0), limits, std::string(rows.text(row, 5))});
  }
  co_return streams;
}

asio::awaitable<std::vector<std::string>> PostgresLimits::roles_of(std::vector<Membership> memberships) {
  Params params;
  params.begin_array(postgres::oid::kUuidArray, postgres::oid::kUuid, memberships.size());
  for (const Membership& membership : memberships) params.element(postgres::uuid_bytes(membership.stream_id));
  params.end_array();
  params.begin_array(postgres::oid::kUuidArray, postgres::oid::kUuid, memberships.size());
  for (const Membership& membership : memberships) params.element(postgres::uuid_bytes(membership.user_id));
  params.end_array();
  Result rows = co_await pool_.query("select item, role from sealcast_internal.roles_of($1, $2)", params);
  std::vector<std::string> roles(memberships.size());
  for (int row = 0; row < rows.size(); ++row) {
    auto item = static_cast<std::size_t>(rows.integer(row, 0));
    if (item >= 1 && item <= roles.size()) roles[item - 1] = rows.text(row, 1);
  }
  co_return roles;
}

}  // namespace sealcast::message
