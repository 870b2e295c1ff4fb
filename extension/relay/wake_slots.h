// The slots in shared memory through which commits reach their database's wake worker. Internal to wake*.cpp.
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
  pg_atomic_uint32 flag;     // something was committed that no NOTIFY has told of
  pg_atomic_uint32 state;    // WorkerState, changed under the exclusive lock
  int worker_pid;            // 0 until the worker that is starting has shown up
  TimestampTz started_at;
  Latch* latch;  // good while running; setting it late wakes a stranger, which is harmless
};

// The committer's side. Null when no worker can be had (not preloaded, no slot, no background worker left).
Slot* begin_commit();
void raise_flag(Slot* slot);  // cannot fail
void end_commit(Slot* slot);

// The worker's side: takes the slot that was prepared for it, or returns null when another one did.
Slot* take_slot(Oid database);
void set_running(Slot* slot);
bool leave_if_idle(Slot* slot);     // true: the slot is given up, nothing was left to do
void leave_on_failure(Slot* slot);  // gives the slot up, and calls a successor when the flag is raised

}  // namespace sealcast::relay::wake
