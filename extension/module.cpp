// Initialises the library when Postgres loads it: defines the magic block and the settings. If the library is in
// shared_preload_libraries, also reserves shared memory and registers the key watcher and the launcher of
// maintenance.
#include "maintenance/maintenance.h"
#include "relay/wake.h"
#include "sealing/key_store.h"
#include "server/pg.h"
#include "server/settings.h"

extern "C" {
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
}

namespace sealcast {

extern "C" __attribute__((visibility("default"))) const Pg_magic_struct* PG_MAGIC_FUNCTION_NAME(void);
extern "C" {
PG_MODULE_MAGIC;
}

namespace {

constexpr const char* kTranche = "sealcast";
enum Lock { kKeyStoreLock, kWakeLock, kLocks };

shmem_request_hook_type previous_shmem_request = nullptr;
shmem_startup_hook_type previous_shmem_startup = nullptr;

void request_shmem() {
  if (previous_shmem_request != nullptr) previous_shmem_request();
  RequestAddinShmemSpace(add_size(MAXALIGN(sealing::key_store::shared_size()), MAXALIGN(relay::wake::shared_size())));
  RequestAddinShmemSpace(MAXALIGN(maintenance::shared_size()));
  RequestNamedLWLockTranche(kTranche, kLocks);
}

void start_shmem() {
  if (previous_shmem_startup != nullptr) previous_shmem_startup();
  LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
  LWLockPadded* const locks = GetNamedLWLockTranche(kTranche);
  bool found;
  void* memory = ShmemInitStruct("sealcast keyring", sealing::key_store::shared_size(), &found);
  sealing::key_store::attach(memory, &locks[kKeyStoreLock].lock, !found);
  memory = ShmemInitStruct("sealcast wake", relay::wake::shared_size(), &found);
  relay::wake::attach(memory, &locks[kWakeLock].lock, !found);
  memory = ShmemInitStruct("sealcast maintenance", maintenance::shared_size(), &found);
  maintenance::attach(memory, !found);
  LWLockRelease(AddinShmemInitLock);
}

}  // namespace

SEALCAST_EXPORT void _PG_init(void);

void _PG_init(void) {
  server::settings::define();
  if (!process_shared_preload_libraries_in_progress) return;
  previous_shmem_request = shmem_request_hook;
  shmem_request_hook = request_shmem;
  previous_shmem_startup = shmem_startup_hook;
  shmem_startup_hook = start_shmem;
  sealing::key_store::register_watcher();
  maintenance::register_launcher();
}

}  // namespace sealcast
