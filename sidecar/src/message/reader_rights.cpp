// Calls the SQL function reader_access().
#include "message/reader_rights.h"

#include <stdexcept>

#include "core/uuid.h"

namespace sealcast::message {

transport::ReaderRights rights_in(const postgres::Result& rows, int row) {
  return {rows.boolean(row, 0), rows.boolean(row, 1), rows.boolean(row, 2), rows.boolean(row, 3)};
}

asio::awaitable<std::vector<transport::ReaderRights>> PostgresReaderAccess::rights(
    std::span<const transport::ReaderKey> readers) {
  postgres::Params params;
  params.begin_array(postgres::oid::kUuidArray, postgres::oid::kUuid, readers.size());
  for (const auto& reader : readers) params.element(postgres::uuid_bytes(reader.stream_id));
  params.end_array();
  params.begin_array(postgres::oid::kUuidArray, postgres::oid::kUuid, readers.size());
  for (const auto& reader : readers) {
    params.element(postgres::uuid_bytes(reader.user_id.empty() ? core::kNilUuid : reader.user_id));
  }
  params.end_array();
  const postgres::Result rows = co_await pool_.query(
      "select found, readable, vip, banned from sealcast_internal.reader_access($1, $2) order by item", params);
  std::vector<transport::ReaderRights> all;
  for (int row = 0; row < rows.size(); ++row) all.push_back(rights_in(rows, row));
  if (all.size() != readers.size()) {
    throw std::runtime_error("sealcast_internal.reader_access() did not return one row for each reader");
  }
  co_return all;
}

}  // namespace sealcast::message
