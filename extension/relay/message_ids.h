// Gives message_ids in blocks: a batch takes a whole block at once, so that its messages of one stream form runs.
//
// A transaction that begins after another one has committed gets a later block, so message_ids of different
// transactions are in the order of sending. A bigint holds 9 * 10^15 blocks.
#pragma once

#include "server/pg.h"

namespace sealcast::relay {

inline constexpr int kIdsInBlock = 1024;

// Returns the first id of a new block. It takes no xid; the caller must have one before (see the table relay_log).
int64 next_id_block();

// Returns the last id of the newest block; 0 before the first block.
int64 newest_message_id();

}  // namespace sealcast::relay
