// The rows that one statement returned, in Postgres's binary format. Copies of a Result share the rows.
#pragma once

#include <libpq-fe.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "client/postgres/params.h"

namespace sealcast::client::postgres {

class Result {
 public:
  Result() = default;
  explicit Result(PGresult* rows) : rows_(rows, PQclear) {}

  int size() const { return rows_ ? PQntuples(rows_.get()) : 0; }
  bool null(int row, int column) const { return PQgetisnull(rows_.get(), row, column) != 0; }
  // Returns the bytes of a value; none for null. The view is valid while a copy of this Result, or of storage(),
  // exists.
  std::string_view text(int row, int column) const {
    return {PQgetvalue(rows_.get(), row, column), static_cast<std::size_t>(PQgetlength(rows_.get(), row, column))};
  }
  // Returns a value of the type smallint, integer or bigint; 0 for null.
  std::int64_t integer(int row, int column) const {
    std::string_view bytes = text(row, column);
    if (bytes.empty()) return 0;
    std::uint64_t value = static_cast<signed char>(bytes[0]) < 0 ? ~0ull : 0;
    for (char byte : bytes) value = value << 8 | static_cast<unsigned char>(byte);
    return static_cast<std::int64_t>(value);
  }
  bool boolean(int row, int column) const {
    std::string_view bytes = text(row, column);
    return !bytes.empty() && bytes[0] != 0;
  }
  // Returns a UUID as a text of 36 characters; an empty text for null.
  std::string uuid(int row, int column) const {
    std::string out;
    if (std::string_view bytes = text(row, column); bytes.size() == 16) {
      out.reserve(36);
      append_uuid_text(reinterpret_cast<const unsigned char*>(bytes.data()), out);
    }
    return out;
  }

  std::shared_ptr<const void> storage() const { return rows_; }  // keeps the rows in memory

 private:
  std::shared_ptr<PGresult> rows_;
};

}  // namespace sealcast::client::postgres
