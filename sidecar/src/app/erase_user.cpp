// Calls sealcast.erase_user_step() until nothing is left.
#include "app/erase_user.h"

#include <libpq-fe.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string_view>
#include <thread>

#include "base/progress.h"
#include "core/settings_error.h"
#include "core/uuid.h"

namespace sealcast::app {
namespace {

using Clock = Progress::Clock;
using ConnectionPtr = std::unique_ptr<PGconn, decltype(&PQfinish)>;
using ResultPtr = std::unique_ptr<PGresult, decltype(&PQclear)>;

constexpr char kStep[] = "select messages, done, total, postponed, finished from sealcast.erase_user_step($1::uuid)";
constexpr std::chrono::milliseconds kPauseBeforeRetry{100};

// Messages of libpq end with a line break.
std::string trimmed(std::string_view text) {
  while (text.ends_with('\n')) text.remove_suffix(1);
  return std::string(text);
}

ConnectionPtr connect(const std::string& dsn) {
  const std::array<const char*, 3> names{"fallback_application_name", "dbname", nullptr};
  const std::array<const char*, 3> values{"sealcastd erase-user", dsn.c_str(), nullptr};
  ConnectionPtr connection(PQconnectdbParams(names.data(), values.data(), 1), &PQfinish);
  if (PQstatus(connection.get()) != CONNECTION_OK) {
    throw std::runtime_error("cannot connect to Postgres; check --dsn and the PG… variables: " +
                             trimmed(PQerrorMessage(connection.get())));
  }
  return connection;
}

struct Step {
  std::int64_t messages = 0;
  std::int64_t done = 0;
  std::int64_t total = 0;
  bool postponed = false;
  bool finished = false;
};

std::int64_t number(const PGresult* result, int column) {
  const std::string_view text = PQgetvalue(result, 0, column);
  std::int64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

Step take_step(PGconn* connection, const std::string& user_id) {
  const char* const values[] = {user_id.c_str()};
  const ResultPtr result(PQexecParams(connection, kStep, 1, nullptr, values, nullptr, nullptr, 0), &PQclear);
  if (PQresultStatus(result.get()) != PGRES_TUPLES_OK || PQntuples(result.get()) != 1) {
    throw std::runtime_error(trimmed(PQerrorMessage(connection)) +
                             "\nRun the command again: it goes on where it stopped.");
  }
  const auto flag = [&](int column) { return *PQgetvalue(result.get(), 0, column) == 't'; };
  return {.messages = number(result.get(), 0),
          .done = number(result.get(), 1),
          .total = number(result.get(), 2),
          .postponed = flag(3),
          .finished = flag(4)};
}

Progress::Work work_of(const Step& step) {
  return {step.done, step.total, step.messages, std::to_string(step.messages) + " messages erased"};
}

}  // namespace

void erase_user(const EraseRequest& request) {
  std::string user_id;
  if (!core::normalize_uuid(request.user_id, user_id)) {
    throw core::SettingsError("USER_ID is \"" + request.user_id + "\", which is not a UUID; write the id of a user");
  }
  const ConnectionPtr connection = connect(request.dsn);
  Progress progress(::isatty(STDOUT_FILENO) == 1, Clock::now());
  Step last;
  while (true) {
    last = take_step(connection.get(), user_id);
    if (last.finished) break;
    std::cout << progress.at(work_of(last), Clock::now()) << std::flush;
    if (last.postponed) std::this_thread::sleep_for(kPauseBeforeRetry);
  }
  std::cout << progress.end(work_of(last), Clock::now()) << std::flush;
}

}  // namespace sealcast::app
