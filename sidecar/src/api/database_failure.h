// Answers 503 for a route whose statement failed in Postgres.
#pragma once

#include <string_view>

#include "client/postgres/error.h"
#include "http/exchange.h"

namespace sealcast::api {

void answer_database_unavailable(http::Response& response);

// Answers 503. Also logs `problem` with the error, unless the error is transient (another attempt may succeed).
void answer_database_failure(const postgres::Error& error, std::string_view problem, http::Response& response);

}  // namespace sealcast::api
