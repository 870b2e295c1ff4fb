// Asks Postgres for the rights of many readers by one statement.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <span>
#include <vector>

#include "base/asio.h"
#include "client/postgres/pool.h"
#include "transport/reader_access.h"

namespace sealcast::message {

// The first four columns of reader_access() and stream_access(): found, readable, vip, banned.
transport::ReaderRights rights_in(const postgres::Result& rows, int row);

class PostgresReaderAccess : public transport::ReaderAccess {
 public:
  // `pool` must stay valid as long as this object.
  explicit PostgresReaderAccess(postgres::Pool& pool) : pool_(pool) {}

  asio::awaitable<std::vector<transport::ReaderRights>> rights(std::span<const transport::ReaderKey> readers) override;

 private:
  postgres::Pool& pool_;
};

}  // namespace sealcast::message
