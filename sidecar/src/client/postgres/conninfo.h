// Parses and writes libpq's connection strings: `host=… dbname=…` or `postgresql://…`.
#pragma once

#include <map>
#include <string>

#include "client/names.h"

namespace sealcast::client::postgres {

using Conninfo =
    std::map<std::string, std::string>;  // the value of each keyword in the string, without libpq's defaults

// Throws Error{unavailable} with the message of libpq for an invalid string. The message may quote a part of a
// password.
Conninfo parse_conninfo(const std::string& dsn);

// Returns the string `host='…' dbname='…' …`. Leaves out keywords with an empty value.
std::string write_conninfo(const Conninfo& values);

}  // namespace sealcast::client::postgres
