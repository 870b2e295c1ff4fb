// Maintenance in the background, for databases in which no sidecar does it. Needs a preloaded library.
//
// The launcher is a background worker without a database. It visits the databases of the server one after the other, by
// starting a maintenance worker in each. A visit calls sealcast.maintain() if maintenance is due, each call in a
// transaction of its own. DROP DATABASE and CREATE DATABASE … TEMPLATE wait only 5 s for connections to end, so a visit
// ends after 2 s, and the launcher visits the database again after a pause.
#pragma once

#include <cstddef>

namespace sealcast::maintenance {

// Returns the bytes of shared memory that attach() needs.
std::size_t shared_size();
// Uses this shared memory. `initialize` is true in the first process that calls it.
void attach(void* memory, bool initialize);

void register_launcher();

// The maintenance worker calls this function when it ends before maintenance does.
void note_unfinished();

}  // namespace sealcast::maintenance
