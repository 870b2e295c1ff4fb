// Assigns slots to databases and starts their wake workers.
#include "relay/wake_slots.h"

#include "server/background_worker.h"

namespace sealcast::relay::wake {
namespace {

// The number of databases that may commit messages at the same time. Further databases use plain NOTIFY.
constexpr int kSlots = 64;

// If a worker has not acquired its slot after this time, we assume that Postgres could not fork it. The next commit
// then starts another worker.
constexpr int kStartTimeoutMs = 10'000;

// A slot without a living worker can be given to another database this long after its last worker was started. By then
// its database was dropped, or a periodic drain of the relay has found the messages.
constexpr int kAbandonedMs = 60'000;

Slot* slots = nullptr;
LWLock* slots_lock = nullptr;

// Returns the slot of a database, or null. The caller holds the lock, shared or exclusive.
Slot* find(Oid database) {
  for (Slot* slot = slots; slot < slots + kSlots; ++slot) {
    if (slot->database == database) return slot;
  }
  return nullptr;
}

bool older_than(const Slot* slot, int ms) {
  return TimestampDifferenceExceeds(slot->started_at, GetCurrentTimestamp(), ms);
}

// Returns whether the slot has a worker that runs or is about to run.
bool worker_alive(Slot* slot) {
  switch (pg_atomic_read_u32(&slot->state)) {
    case kRunning:
      return true;
    case kStarting:
      return slot->worker_pid != 0 || !older_than(slot, kStartTimeoutMs);
    default:
      return false;
  }
}

// Returns the slot of a database. If the database has none, assigns a free slot to it, or returns null if no slot is
// free. The caller holds the exclusive lock.
Slot* find_or_assign(Oid database) {
  if (Slot* slot = find(database)) return slot;
  for (Slot* slot = slots; slot < slots + kSlots; ++slot) {
    if (slot->database != InvalidOid &&
        (pg_atomic_read_u32(&slot->pending) != 0 || worker_alive(slot) || !older_than(slot, kAbandonedMs))) {
      continue;
    }
    slot->database = database;
    pg_atomic_write_u32(&slot->flag, 0);
    return slot;
  }
  return nullptr;
}

// Starts a wake worker for the database of a slot. Returns false if all background workers are in use. The caller holds
// the exclusive lock. RegisterDynamicBackgroundWorker() without a handle allocates nothing, so it raises no error.
bool start_worker(Slot* slot) {
  BackgroundWorker worker = server::background_worker("sealcast wake", "sealcast_wake_main");
  worker.bgw_main_arg = ObjectIdGetDatum(slot->database);
  if (!RegisterDynamicBackgroundWorker(&worker, nullptr)) return false;
  slot->worker_pid = 0;
  slot->started_at = GetCurrentTimestamp();
  pg_atomic_write_u32(&slot->state, kStarting);
  return true;
}

void clear_worker(Slot* slot) {
  slot->worker_pid = 0;
  slot->latch = nullptr;
  pg_atomic_write_u32(&slot->state, kNone);
}

}  // namespace

std::size_t shared_size() { return kSlots * sizeof(Slot); }

void attach(void* memory, LWLock* lock, bool initialize) {
  slots = static_cast<Slot*>(memory);
  slots_lock = lock;
  if (!initialize) return;
  std::memset(memory, 0, shared_size());
  for (Slot* slot = slots; slot < slots + kSlots; ++slot) {
    pg_atomic_init_u32(&slot->pending, 0);
    pg_atomic_init_u32(&slot->flag, 0);
    pg_atomic_init_u32(&slot->state, kNone);
  }
}

Slot* begin_commit() {
  if (slots == nullptr) return nullptr;
  LWLockAcquire(slots_lock, LW_SHARED);
  Slot* slot = find(MyDatabaseId);
  if (slot == nullptr || !worker_alive(slot)) {
    LWLockRelease(slots_lock);
    LWLockAcquire(slots_lock, LW_EXCLUSIVE);
    slot = find_or_assign(MyDatabaseId);
    if (slot != nullptr && !worker_alive(slot) && !start_worker(slot)) slot = nullptr;
  }
  if (slot != nullptr) pg_atomic_fetch_add_u32(&slot->pending, 1);
  LWLockRelease(slots_lock);
  return slot;
}

void raise_flag(Slot* slot) {
  const bool was_raised = pg_atomic_exchange_u32(&slot->flag, 1) != 0;
  if (pg_atomic_read_u32(&slot->state) == kRunning) {
    Latch* const latch = slot->latch;
    if (!was_raised && latch != nullptr) SetLatch(latch);
    return;
  }
  // A worker that is starting reads the flag later by itself. If the worker has ended since PRE_COMMIT, start another
  // one.
  LWLockAcquire(slots_lock, LW_EXCLUSIVE);
  if (!worker_alive(slot)) start_worker(slot);
  LWLockRelease(slots_lock);
}

void end_commit(Slot* slot) { pg_atomic_fetch_sub_u32(&slot->pending, 1); }

Slot* acquire_slot(Oid database) {
  if (slots == nullptr) return nullptr;
  LWLockAcquire(slots_lock, LW_EXCLUSIVE);
  Slot* slot = find(database);
  if (slot != nullptr && (pg_atomic_read_u32(&slot->state) != kStarting || slot->worker_pid != 0)) slot = nullptr;
  if (slot != nullptr) slot->worker_pid = MyProcPid;
  LWLockRelease(slots_lock);
  return slot;
}

void set_running(Slot* slot) {
  LWLockAcquire(slots_lock, LW_EXCLUSIVE);
  slot->latch = MyLatch;
  pg_atomic_write_u32(&slot->state, kRunning);
  LWLockRelease(slots_lock);
}

bool release_if_idle(Slot* slot) {
  LWLockAcquire(slots_lock, LW_EXCLUSIVE);
  const bool idle = pg_atomic_read_u32(&slot->pending) == 0 && pg_atomic_read_u32(&slot->flag) == 0;
  if (idle) {
    clear_worker(slot);
    slot->database = InvalidOid;
  }
  LWLockRelease(slots_lock);
  return idle;
}

void release_on_failure(Slot* slot) {
  LWLockAcquire(slots_lock, LW_EXCLUSIVE);
  const bool was_running = pg_atomic_read_u32(&slot->state) == kRunning;
  clear_worker(slot);
  pg_memory_barrier();
  // A worker that was never running could not connect to its database. It is not replaced, because the database may
  // have been dropped.
  if (was_running && pg_atomic_read_u32(&slot->flag) != 0) start_worker(slot);
  LWLockRelease(slots_lock);
}

}  // namespace sealcast::relay::wake
