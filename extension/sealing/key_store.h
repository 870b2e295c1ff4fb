// Gives a server process the current keyring, also after reloads.
//
// The store holds the secrets of the last successful read. It is in shared memory if the library is preloaded, else in
// the process itself. The first process that needs a key after a reload reads the directory into the store. If the
// library is preloaded, a background worker (key_watcher.cpp) reads it right at the reload, so that a broken keyring is
// logged at once. An unusable directory leaves the store unchanged. Each process parses the keys of the store once per
// generation.
#pragma once

#include <cstddef>
#include <string_view>

#include "core/keyring.h"

struct LWLock;

namespace sealcast::sealing::key_store {

std::size_t shared_size();
void attach(void* memory, LWLock* lock, bool initialize);
void register_watcher();

// The following functions may ereport. Their results are valid until the next of these calls.

const core::Keyring& current();

// Call it if a kid was not found. Reads the directory again, unless it was read within the last second. Returns whether
// the keyring has changed, so that the caller can retry.
bool reread_after_miss();

// Returns the key with that id. Error 42704 if it does not exist, also after reading the directory again.
const core::Key& require(std::string_view kid);

// Returns the signing key. Error 55000 if sealcast.signing_kid is unset or not in the keyring.
const core::Key& require_signing();

// Returns why the last read of the keyring failed; empty if it succeeded. For superusers only: the text contains paths.
const char* problem();

bool preloaded();

}  // namespace sealcast::sealing::key_store
