// Reads message types and roles by the SQL functions gate_limits() and roles_of().
#include "message/limits_source.h"

namespace sealcast::message {

using postgres::Params;
using postgres::Result;

asio::awaitable<std::vector<TypeRow>> PostgresLimits::gate_limits() {
  Result rows = co_await pool_.query(
      "select t, max_bytes, rate, role_rates::text, system_only from sealcast_internal.gate_limits()");
  std::vector<TypeRow> types;
  types.reserve(static_cast<std::size_t>(rows.size()));
  for (int row = 0; row < rows.size(); ++row) {
    types.push_back({std::string(rows.text(row, 0)), static_cast<int>(rows.integer(row, 1)),
                     static_cast<int>(rows.integer(row, 2)), std::string(rows.text(row, 3)), rows.boolean(row, 4)});
  }
  co_return types;
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
