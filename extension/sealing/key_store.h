// The keyring as a server process sees it, kept current across reloads.
//
// A store holds the secrets that were last read successfully: in shared memory when the library is preloaded, else in
// the process itself. Whoever first needs a key after a reload reads the directory into the store; when preloaded, a
// background worker (the watcher) does so at the reload itself, so that a broken keyring is logged at once. A directory
// that cannot be used leaves the store as it was. Each process parses the store's keys once per generation.
#pragma once

#include <cstddef>
#include <string_view>

#include "core/keyring.h"

struct LWLock;

namespace sealcast::sealing::key_store {

std::size_t shared_size();
void attach(void* memory, LWLock* lock, bool initialize);
void register_watcher();

// All that follow may ereport; what they return stays good until the next of these calls.

const core::Keyring& current();

// After a kid was not found: reads the directory again unless that happened within the last second. True when the
// keyring is another one now, so that looking again makes sense.
bool changed_after_miss();

// The key of that id; 42704 when there is none, even after another look.
const core::Key& require(std::string_view kid);

// The key that signs; 55000 when sealcast.signing_kid is unset or not in the keyring.
const core::Key& require_signing();

// Why the keyring could not be read the last time; empty when it could. For superusers only: it names paths.
const char* problem();

bool preloaded();

}  // namespace sealcast::sealing::key_store
