// The slots in shared memory. Through the slot of a database, its committing transactions reach its wake worker. Only
// wake.cpp, wake_slots.cpp and wake_worker.cpp use this header.
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
  Oid database;              // InvalidOid if the slot is free; changed under the exclusive lock
  pg_atomic_uint32 pending;  // number of transactions between PRE_COMMIT and their end, which may raise the flag
  pg_atomic_uint32 flag;     // 1 from a commit until the worker starts a NOTIFY for it; 1 again if the NOTIFY fails
  pg_atomic_uint32 state;    // a WorkerState, changed under the exclusive lock
  int worker_pid;            // 0 until a starting worker has acquired the slot
  TimestampTz started_at;    // when the last worker was started
  // The latch of the worker, valid while the state is kRunning. If the worker ends just before SetLatch(), the latch
  // may belong to another process, which wakes up needlessly but without harm.
  Latch* latch;
};

// A backend calls the next three functions when it commits.

// Returns the slot of this database, in which the transaction is pending from now on. Returns null if no wake worker
// runs and none can be started: the library is not preloaded, all slots are taken, or all background workers are in
// use.
Slot* begin_commit();
void raise_flag(Slot* slot);  // raises no error; call it after the commit
void end_commit(Slot* slot);  // the transaction is no longer pending

// The wake worker calls the functions below.

// Returns the slot for which this worker was started, or null if another worker has acquired that slot.
Slot* acquire_slot(Oid database);
void set_running(Slot* slot);
// If no transaction is pending and the flag is not raised, frees the slot and returns true.
bool release_if_idle(Slot* slot);
// Removes this worker from the slot. Starts another worker if this one was running and the flag is raised.
void release_on_failure(Slot* slot);

}  // namespace sealcast::relay::wake
