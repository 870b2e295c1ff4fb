// What it means to who asks over HTTP that a statement failed.
#pragma once

#include <string_view>

#include "client/postgres/error.h"
#include "http/exchange.h"

namespace sealcast::api {

void answer_database_unavailable(http::Response& response);

// The same, and the log says what could not be done, unless another attempt may succeed.
void answer_database_failure(const postgres::Error& error, std::string_view what, http::Response& response);

}  // namespace sealcast::api
