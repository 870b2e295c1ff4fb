// The command `sealcastd erase-user`: erases what a user has written, step by step (sql/77_erasure.sql).
//
// Each step is a statement and a transaction of its own, so the command works through PgBouncer in transaction mode. A
// command that was interrupted goes on where it stopped when it is run again.
#pragma once

#include <string>

namespace sealcast::app {

struct EraseRequest {
  std::string user_id;
  std::string dsn;  // of a role that is a member of sealcast_admin; the sidecar's own role may not erase
};

// Returns when nothing is left to erase. Prints its progress on standard output. Throws SettingsError when the user id
// is no UUID, and std::runtime_error when Postgres cannot be reached or refuses a step.
void erase_user(const EraseRequest& request);

}  // namespace sealcast::app
