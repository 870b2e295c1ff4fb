// Answers 503, and logs the failure, for all routes that send statements to Postgres themselves.
#include "api/database_failure.h"

#include "base/log.h"

namespace sealcast::api {

void answer_database_unavailable(http::Response& response) {
  http::answer_problem(response, {503,
                                  "database_unavailable",
                                  "the database does not answer",
                                  {},
                                  "Retry after a pause.",
                                  std::chrono::seconds(1)});
}

void answer_database_failure(const postgres::Error& error, std::string_view problem, http::Response& response) {
  if (!error.transient()) {
    log::write(log::Level::error, log::tag::kDatabase, problem,
               {{"sqlstate", error.sqlstate()}, {"reason", std::string_view(error.what())}});
  }
  answer_database_unavailable(response);
}

}  // namespace sealcast::api
