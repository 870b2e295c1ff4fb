// Parses libpq's connection strings, and writes them with quoted values.
#include "client/postgres/conninfo.h"

#include <libpq-fe.h>

#include <memory>
#include <string_view>

#include "client/postgres/error.h"

namespace sealcast::client::postgres {

namespace {

std::string quoted(std::string_view value) {
  std::string out = "'";
  for (const char c : value) {
    if (c == '\'' || c == '\\') out += '\\';
    out += c;
  }
  return out + "'";
}

}  // namespace

Conninfo parse_conninfo(const std::string& dsn) {
  char* problem = nullptr;
  const std::unique_ptr<PQconninfoOption, void (*)(PQconninfoOption*)> options(PQconninfoParse(dsn.c_str(), &problem),
                                                                               PQconninfoFree);
  const std::unique_ptr<char, void (*)(void*)> owner(problem, PQfreemem);
  if (!options) throw Error(Failure::unavailable, problem != nullptr ? problem : "out of memory");
  Conninfo values;
  for (const PQconninfoOption* option = options.get(); option->keyword != nullptr; ++option) {
    if (option->val != nullptr) values[option->keyword] = option->val;
  }
  return values;
}

std::string with_password(const std::string& dsn, const std::string& password) {
  Conninfo values = parse_conninfo(dsn);
  if (!password.empty()) values["password"] = password;
  return write_conninfo(values);
}

std::string write_conninfo(const Conninfo& values) {
  std::string out;
  for (const auto& [keyword, value] : values) {
    if (!value.empty()) out += (out.empty() ? "" : " ") + keyword + "=" + quoted(value);
  }
  return out;
}

}  // namespace sealcast::client::postgres
