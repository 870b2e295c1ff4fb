// What all background workers of the extension have in common.
#pragma once

#include "server/pg.h"

extern "C" {
#include "postmaster/bgworker.h"
}

namespace sealcast::server {

// Returns a worker that runs the exported `function` of this library, starts as soon as the server accepts writes, may
// connect to a database, and is not started again when it ends. pg_stat_activity shows `name`.
inline BackgroundWorker background_worker(const char* name, const char* function) {
  BackgroundWorker worker = {};
  worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
  worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
  worker.bgw_restart_time = BGW_NEVER_RESTART;
  strlcpy(worker.bgw_library_name, "sealcast", sizeof worker.bgw_library_name);
  strlcpy(worker.bgw_function_name, function, sizeof worker.bgw_function_name);
  strlcpy(worker.bgw_name, name, sizeof worker.bgw_name);
  strlcpy(worker.bgw_type, name, sizeof worker.bgw_type);
  return worker;
}

}  // namespace sealcast::server
