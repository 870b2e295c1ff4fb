// The parameters of one statement in Postgres's binary format, laid out in one buffer that is used again and again.
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

// Of a UUID in the form that core/uuid.h's normalize_uuid() gives.
Uuid uuid_bytes(std::string_view normalized) noexcept;
void append_uuid_text(const unsigned char* bytes, std::string& out);

// OIDs of built-in types never change (pg_type.dat).
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

  // An array: begin, one element() for each of `count`, end.
  void begin_array(Oid array_type, Oid element_type, std::size_t count);
  void element(std::int64_t value);
  void element(std::int32_t value);
  void element(std::string_view text);
  void element(const Uuid& value);
  void end_array();

  // Any range whose elements one of the element() overloads takes.
  template <class Range>
  void add_array(Oid array_type, Oid element_type, const Range& range) {
    begin_array(array_type, element_type, range.size());
    for (const auto& value : range) element(value);
    end_array();
  }

 private:
  friend class Connection;
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
