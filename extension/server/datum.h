// Converts between Datums and C++ bytes: views of arguments, results, UUIDs as text, row types.
#pragma once

#include "core/digest.h"
#include "server/pg.h"

namespace sealcast::server {

// Returns the bytes of a detoasted varlena without its header. The header may have one byte (packed) or four.
inline std::string_view view(const void* varlena) {
  return {VARDATA_ANY(varlena), static_cast<std::size_t>(VARSIZE_ANY_EXHDR(varlena))};
}

// Allocates a varlena (text, json, bytea) with `bytes` in the current memory context. It may be called inside a guard,
// because it throws std::bad_alloc or std::length_error where palloc would leave by longjmp. new_hex() writes each byte
// as two hex digits.
varlena* new_varlena(std::string_view bytes);
varlena* new_hex(std::string_view bytes);

// A UUID as text: 8-4-4-4-12 in lower case.
struct UuidText {
  char text[36];

  explicit UuidText(const pg_uuid_t& uuid);
  std::string_view view() const { return {text, sizeof text}; }
};

// Returns the row type of a SQL function with OUT parameters. Caches it in fcinfo->flinfo, so that a query looks it up
// once per place where it calls the function.
TupleDesc record_type(FunctionCallInfo fcinfo);

// Borrows an empty buffer from the few that the backend keeps, so that building a small result needs no allocation. The
// destructor returns the buffer. It must run, so use the class inside a guard only, where no longjmp can skip it.
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
