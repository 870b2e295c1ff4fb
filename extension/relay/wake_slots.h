// The slots in shared memory through which commits reach the wake worker of their database. Internal to wake*.cpp.
#pragma once

#include "relay/wake.h"
#include "server/pg.h"

extern "C" {
#include "port/atomics.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
}

namespace sealcast::relay::wake {

enum WorkerState : uint32 { kNone, kStarting, kRunning };

struct Slot {
  Oid database;              // InvalidOid: free. Changed under the lock
  pg_atomic_uint32 pending;  // transactions that are about to raise the flag
  pg_atomic_uint32 flag;     // 1: a commit has not been notified yet
  pg_atomic_uint32 state;    // WorkerState, changed under the exclusive lock
  int worker_pid;            // 0 until a starting worker has acquired the slot
  TimestampTz started_at;
  Latch* latch;  // valid while kRunning; a late SetLatch wakes another process, which is harmless
};

// For a backend that commits. begin_commit() returns null if no wake worker runs and none can be started: the library
// is not preloaded, all slots are taken, or all background workers are in use.
Slot* begin_commit();
void raise_flag(Slot* slot);  // cannot fail
void end_commit(Slot* slot);

// For the worker. acquire_slot() returns the slot that was prepared for it, or null if another worker has acquired it.
Slot* acquire_slot(Oid database);
void set_running(Slot* slot);
bool release_if_idle(Slot* slot);     // true: nothing was left to do, and the slot is released
void release_on_failure(Slot* slot);  // releases the slot, and starts another worker if the flag is raised

}  // namespace sealcast::relay::wake
