// Gives message_ids in blocks of 1,024. A batch takes whole blocks, so that its messages of one stream get consecutive
// ids and form runs.
//
// If one transaction takes a block after another transaction has committed, its block is the later one. So a message
// that was sent after another message was committed has the greater id. The ids of a bigint last for 9 * 10^15 blocks.
#pragma once

#include "server/pg.h"

namespace sealcast::relay {

inline constexpr int kIdsInBlock = 1024;

// Returns the first id of a new block. The transaction must already have an xid, because drain() relies on this order
// (see Position). The function does not assign an xid itself.
int64 next_id_block();

// Returns the last id of the newest block, or 0 if no block was taken yet.
int64 newest_message_id();

}  // namespace sealcast::relay
