// Why Postgres cannot do its work now: the code and the message of the answer 503 after a transient error.
#pragma once

#include <string_view>

#include "client/postgres/error.h"

namespace sealcast::client::postgres {

struct Outage {
  std::string_view code;
  std::string_view message;
  bool in_doubt;  // the statement may have been executed
};

inline Outage outage_of(const Error& error) {
  if (error.sqlstate() == "25006") {
    return {.code = "database_read_only", .message = "the database accepts no writes now", .in_doubt = false};
  }
  if (error.disk_full()) {
    return {.code = "database_full", .message = "the disk of the database is full", .in_doubt = false};
  }
  if (error.took_too_long()) {
    return {.code = "database_unavailable", .message = "the database is busy", .in_doubt = false};
  }
  return {.code = "database_unavailable", .message = "the database does not answer", .in_doubt = true};
}

}  // namespace sealcast::client::postgres
