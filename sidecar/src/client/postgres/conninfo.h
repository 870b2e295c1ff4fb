// Connection strings of libpq, `host=… dbname=…` or `postgresql://…`, taken apart by libpq and put together again.
#pragma once

#include <map>
#include <string>

#include "client/names.h"

namespace sealcast::client::postgres {

using Conninfo = std::map<std::string, std::string>;  // by keyword: what the string says, without libpq's defaults

// Throws Error{unavailable} with libpq's words, which may quote a piece of a password.
Conninfo parse_conninfo(const std::string& dsn);

// As keywords and values. Empty values are left out.
std::string write_conninfo(const Conninfo& values);

}  // namespace sealcast::client::postgres
