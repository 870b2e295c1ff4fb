// message_ids: a batch takes a block of them at once, so that what it holds of a stream can be told as a run.
//
// Whoever begins after another has committed gets a later block, so ids of different transactions stand in the order of
// sending. bigint holds 9 * 10^15 blocks.
#pragma once

#include "server/pg.h"

namespace sealcast::relay {

inline constexpr int kIdsInBlock = 1024;

// The first id of a new block. Takes no xid: see relay_log for why the caller must have one before.
int64 next_id_block();

// The last id of the block that was given last; 0 before the first.
int64 newest_message_id();

}  // namespace sealcast::relay
