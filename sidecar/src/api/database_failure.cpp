// Answers 503, and logs the failure, for all routes that send statements to Postgres themselves.
#include "api/database_failure.h"

#include "base/log.h"
#include "client/postgres/outage.h"

namespace sealcast::api {

namespace {

void answer(const postgres::Outage& outage, http::Response& response) {
  http::answer_problem(response,
                       {503, outage.code, outage.message, {}, "Retry after a pause.", std::chrono::seconds(1)});
}

}  // namespace

void answer_database_unavailable(http::Response& response) {
  answer(postgres::outage_of(postgres::Error(postgres::Failure::unavailable, {})), response);
}

void answer_database_failure(const postgres::Error& error, std::string_view problem, http::Response& response) {
  if (!error.transient()) {
    log::write(log::Level::error, log::tag::kDatabase, problem,
               {{"sqlstate", error.sqlstate()}, {"reason", std::string_view(error.what())}});
  }
  answer(postgres::outage_of(error), response);
}

}  // namespace sealcast::api
