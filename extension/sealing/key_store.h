// Gives a process of Postgres the current keyring, and reads it again after each reload of the configuration.
//
// The store holds the secrets of the last successful read of the directory. If the library is preloaded, the store is
// in shared memory; otherwise each process has its own. The first process that needs a key after a reload reads the
// directory into the store. If the library is preloaded, a background worker (key_watcher.cpp) reads the directory as
// soon as the reload happens, so that a broken keyring is logged at once. If the directory cannot be used, the keys in
// the store stay as they are. The store has a generation number that grows with each change of the keys. A process
// parses the keys again only if this number has changed.
#pragma once

#include <cstddef>
#include <string_view>

#include "core/keyring.h"

struct LWLock;

namespace sealcast::sealing::key_store {

std::size_t shared_size();
void attach(void* memory, LWLock* lock, bool initialize);
void register_watcher();

// The functions below, except preloaded(), may raise an ERROR. A returned reference to a key or keyring is valid until
// the next call of one of these functions.

const core::Keyring& current();

// Call it if a key id was not found in current(). Reads the directory again, unless a process has read it within the
// last second or has already stored new keys. Returns true if the keyring has changed; then the caller should search
// again.
bool reread_after_miss();

// Returns the key with that id. If it is not found, calls reread_after_miss() and searches again. Raises error 42704 if
// the key is still not found.
const core::Key& require(std::string_view kid);

// Returns the key that sealcast.signing_kid names. Raises error 55000 if the setting is empty, or if the key is not
// found even after reread_after_miss().
const core::Key& require_signing();

// Returns the reason why the last read of the directory failed, or an empty text if it succeeded. Show it to superusers
// only, because it contains paths. The text is in the store, so another process may change it at any time.
const char* problem();

// Returns whether the library is in shared_preload_libraries, so that all processes share one store.
bool preloaded();

}  // namespace sealcast::sealing::key_store
