// Parses and writes libpq's connection strings: `host=… dbname=…` or `postgresql://…`.
#pragma once

#include <map>
#include <string>

#include "client/names.h"

namespace sealcast::client::postgres {

using Conninfo =
    std::map<std::string, std::string>;  // by keyword: the values of the string, without the defaults of libpq

// Throws Error{unavailable} with the message of libpq, which may quote a part of a password.
Conninfo parse_conninfo(const std::string& dsn);

// Writes the form `host='…' dbname='…'`, without empty values.
std::string write_conninfo(const Conninfo& values);

}  // namespace sealcast::client::postgres
