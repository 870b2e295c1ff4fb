// Wakes the relay after a commit. The commit itself sends no NOTIFY, because NOTIFY takes a lock of the whole cluster.
//
// If the library is preloaded, sealcast.wake() only marks the transaction. Once the transaction has committed and is
// visible, it raises a flag in shared memory and sets the latch of a wake worker. There is one wake worker per
// database. It starts on demand and ends after a few idle seconds. It clears the flag and then notifies, so that any
// number of commits share one NOTIFY. If the library is not preloaded, the transaction sends a plain NOTIFY. A prepared
// transaction sends no wake-up. The periodic drains of the relay find its messages.
#pragma once

#include <cstddef>

struct LWLock;

namespace sealcast::relay::wake {

inline constexpr const char* kChannel = "sealcast";

std::size_t shared_size();
void attach(void* memory, LWLock* lock, bool initialize);

// Makes this transaction wake the relay after its commit. May ereport.
void request();

}  // namespace sealcast::relay::wake
