// The key watcher: a background worker that reads the keyring at start and at each reload, so that problems are logged
// at once.
#include "sealing/key_store.h"
#include "server/background_worker.h"
#include "server/pg.h"
#include "server/settings.h"

extern "C" {
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/guc.h"
#include "utils/wait_event.h"
}

namespace sealcast::sealing::key_store {
namespace {

constexpr int kRestartSeconds = 5;

void check_keyring() {
  const core::Keyring& keyring = current();
  const char* const kid = server::settings::signing_kid;
  if (*kid != '\0' && keyring.find(kid) == nullptr) {
    ereport(LOG, (errmsg("sealcast.signing_kid is \"%s\", which is not in the keyring", kid),
                  errdetail("No message can be sealed.")));
  }
}

}  // namespace

void register_watcher() {
  BackgroundWorker worker = server::background_worker("sealcast keyring", "sealcast_key_watcher_main");
  worker.bgw_flags = BGWORKER_SHMEM_ACCESS;
  worker.bgw_start_time = BgWorkerStart_PostmasterStart;  // also in a standby
  worker.bgw_restart_time = kRestartSeconds;
  RegisterBackgroundWorker(&worker);
}

}  // namespace sealcast::sealing::key_store

SEALCAST_EXPORT void sealcast_key_watcher_main(Datum argument);

void sealcast_key_watcher_main(Datum) {
  pqsignal(SIGHUP, SignalHandlerForConfigReload);
  pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
  BackgroundWorkerUnblockSignals();
  while (!ShutdownRequestPending) {
    if (ConfigReloadPending) {
      ConfigReloadPending = false;
      ProcessConfigFile(PGC_SIGHUP);
    }
    sealcast::sealing::key_store::check_keyring();
    WaitLatch(MyLatch, WL_LATCH_SET | WL_EXIT_ON_PM_DEATH, -1, PG_WAIT_EXTENSION);
    ResetLatch(MyLatch);
  }
  proc_exit(0);
}
