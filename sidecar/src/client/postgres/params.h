// The parameters of one statement in Postgres's binary format. One buffer contains all values. clear() keeps the memory
// of the buffer for the next statement.
#pragma once

#include <libpq-fe.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "client/names.h"

namespace sealcast::client::postgres {

using Uuid = std::array<unsigned char, 16>;

// Converts a UUID from text to 16 bytes. `normalized` must have the form that normalize_uuid() of core/uuid.h returns:
// 36 characters in lower case.
Uuid uuid_bytes(std::string_view normalized) noexcept;
void append_uuid_text(const unsigned char* bytes, std::string& out);

// Object identifiers of types that are built into Postgres. They never change (pg_type.dat in the source of Postgres).
namespace oid {
inline constexpr Oid kBoolean = 16, kBigint = 20, kInteger = 23, kText = 25, kJson = 114, kUuid = 2950;
inline constexpr Oid kIntegerArray = 1007, kTextArray = 1009, kBigintArray = 1016, kUuidArray = 2951;
}  // namespace oid

class Params {
 public:
  void clear();

  void add(std::int64_t value);
  void add(std::int32_t value);
  void add(std::string_view text);
  void add(const Uuid& value);
  void add_boolean(bool value);
  void add_json(std::string_view json);
  void add_null(Oid type);

  // Adds an array: begin_array(), then `count` calls of element(), then end_array().
  void begin_array(Oid array_type, Oid element_type, std::size_t count);
  void element(std::int64_t value);
  void element(std::int32_t value);
  void element(std::string_view text);
  void element(const Uuid& value);
  void end_array();

  // Adds an array with the elements of `range`. One of the overloads of element() must accept them.
  template <class Range>
  void add_array(Oid array_type, Oid element_type, const Range& range) {
    begin_array(array_type, element_type, range.size());
    for (const auto& value : range) element(value);
    end_array();
  }

 private:
  friend class PipelinedConnection;  // in connection.cpp
  struct Value {
    Oid type;
    std::size_t begin;
    std::size_t size;
    bool null;
  };
  void begin(Oid type);
  void end();
  void put(std::uint64_t value, int bytes);

  std::string buffer_;
  std::vector<Value> values_;
};

inline const Params kNoParams;

}  // namespace sealcast::client::postgres
