// 503: the answer of a route whose statement failed.
#pragma once

#include <string_view>

#include "client/postgres/error.h"
#include "http/exchange.h"

namespace sealcast::api {

void answer_database_unavailable(http::Response& response);

// Also logs `problem` with the error, unless the error is transient.
void answer_database_failure(const postgres::Error& error, std::string_view problem, http::Response& response);

}  // namespace sealcast::api
