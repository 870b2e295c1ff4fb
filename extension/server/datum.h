// Between Datums and C++ bytes: views of arguments, results, UUIDs as text, records.
#pragma once

#include "core/digest.h"
#include "server/pg.h"

namespace sealcast::server {

// The bytes of a detoasted varlena, packed or not.
inline std::string_view view(const void* varlena) {
  return {VARDATA_ANY(varlena), static_cast<std::size_t>(VARSIZE_ANY_EXHDR(varlena))};
}

// A new varlena (text, json, bytea) holding `bytes`, in the current memory context. For use inside a guard: throws
// std::bad_alloc or std::length_error where palloc would leave by longjmp.
varlena* new_varlena(std::string_view bytes);
varlena* new_hex(std::string_view bytes);

// 8-4-4-4-12 in lower case.
struct UuidText {
  char text[36];

  explicit UuidText(const pg_uuid_t& uuid);
  std::string_view view() const { return {text, sizeof text}; }
};

// The row type that a function declared by OUT parameters returns, looked up once per call site.
TupleDesc record_type(FunctionCallInfo fcinfo);

// A backend's own buffer for building results in, so that a small message costs no allocation; for use inside a guard.
class Scratch {
 public:
  Scratch();
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  std::string& operator*() const { return buffer_; }
  std::string* operator->() const { return &buffer_; }

 private:
  static std::string& take();

  std::string& buffer_;
};

}  // namespace sealcast::server
