// Converts between Datums and C++ bytes: views of arguments, results, UUIDs as text, row types.
#pragma once

#include "core/digest.h"
#include "server/pg.h"

namespace sealcast::server {

// Returns the bytes of a detoasted varlena, packed or not.
inline std::string_view view(const void* varlena) {
  return {VARDATA_ANY(varlena), static_cast<std::size_t>(VARSIZE_ANY_EXHDR(varlena))};
}

// Allocates a varlena (text, json, bytea) with `bytes` in the current memory context. For use inside a guard: throws
// std::bad_alloc or std::length_error where palloc would leave by longjmp. new_hex() writes the bytes in hex.
varlena* new_varlena(std::string_view bytes);
varlena* new_hex(std::string_view bytes);

// A UUID as text: 8-4-4-4-12 in lower case.
struct UuidText {
  char text[36];

  explicit UuidText(const pg_uuid_t& uuid);
  std::string_view view() const { return {text, sizeof text}; }
};

// Returns the row type of a function with OUT parameters. Looks it up once per call site.
TupleDesc record_type(FunctionCallInfo fcinfo);

// Borrows one of the buffers that the backend keeps and reuses, so that building a small result needs no allocation.
// Use it inside a guard, because its destructor must run.
class Scratch {
 public:
  Scratch();
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  std::string& operator*() const { return buffer_; }
  std::string* operator->() const { return &buffer_; }

 private:
  static std::string& acquire();

  std::string& buffer_;
};

}  // namespace sealcast::server
