// Waking the relay after a commit without making the commit pay for NOTIFY, which takes a cluster-wide lock.
//
// Preloaded: sealcast.wake() only marks the transaction. Once it has committed and is visible, a flag in shared memory
// is raised and a worker's latch set; the worker (one per database, started on demand, gone after a few idle seconds)
// clears the flag, then notifies, so that any number of commits share one NOTIFY. Not preloaded: a plain NOTIFY.
// A prepared transaction wakes nobody; the relay's poll finds its messages.
#pragma once

#include <cstddef>

struct LWLock;

namespace sealcast::relay::wake {

inline constexpr const char* kChannel = "sealcast";

std::size_t shared_size();
void attach(void* memory, LWLock* lock, bool initialize);

// Wakes the relay once this transaction has committed. May ereport.
void request();

}  // namespace sealcast::relay::wake
