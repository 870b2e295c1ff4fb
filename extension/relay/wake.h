// Wakes the relay after a commit. The committing transaction itself sends no NOTIFY, because a commit with NOTIFY takes
// a lock that all databases of the server share.
//
// If the library is preloaded, request() and the SQL function sealcast_internal.wake() only mark the transaction. When
// the transaction has committed and is visible, its backend raises a flag in shared memory and sets the latch of a wake
// worker. There is one wake worker per database. It starts on demand and ends after a few idle seconds. The worker
// first clears the flag and then sends a NOTIFY, so that any number of commits share one NOTIFY. If the library is not
// preloaded, the transaction itself sends a NOTIFY. A prepared transaction (PREPARE TRANSACTION) sends no wake-up; the
// periodic drains of the relay find its messages.
#pragma once

#include <cstddef>

struct LWLock;

namespace sealcast::relay::wake {

inline constexpr const char* kChannel = "sealcast";

// Returns the bytes of shared memory that attach() needs.
std::size_t shared_size();
// Uses this shared memory and this lock. `initialize` is true in the first process that calls it.
void attach(void* memory, LWLock* lock, bool initialize);

// Marks the current transaction, so that it wakes the relay after its commit. Raises an ERROR in a parallel operation.
void request();

}  // namespace sealcast::relay::wake
