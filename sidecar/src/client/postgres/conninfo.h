// Parses and writes libpq's connection strings: `host=… dbname=…` or `postgresql://…`.
#pragma once

#include <map>
#include <string>
#include <utility>

#include "base/secret.h"
#include "client/names.h"

namespace sealcast::client::postgres {

using Conninfo =
    std::map<std::string, std::string>;  // the value of each keyword in the string, without libpq's defaults

// Throws Error{unavailable} with the message of libpq for an invalid string. The message may quote a part of a
// password.
Conninfo parse_conninfo(const std::string& dsn);

// The connection string of the settings, and the password that it does not contain.
struct Dsn {
  Dsn() = default;
  Dsn(std::string text_given, Secret password_given = {})
      : text(std::move(text_given)), password(std::move(password_given)) {}

  std::string text;
  Secret password;
};

// Returns the string with the password added, unless the password is empty.
std::string with_password(const std::string& dsn, const std::string& password);

// Returns the string `host='…' dbname='…' …`. Leaves out keywords with an empty value.
std::string write_conninfo(const Conninfo& values);

}  // namespace sealcast::client::postgres
