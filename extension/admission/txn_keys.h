// Inserts the keys (sender_id, txn_id) of a batch. Their unique index is the only place that decides which message is
// the original.
#pragma once

#include "admission/batch.h"

namespace sealcast::admission {

// The items whose keys were inserted, each with its message_id, by stream and then by number.
struct Inserted {
  Item** items;
  int count;
};

// Sorts by sender, txn_id and number. All batches insert keys in this order, so they cannot deadlock.
void sort_by_key(Item** items, int count);

// Inserts the keys of all admissible items without an admit hook. Waits up to lock_timeout for a transaction that has
// inserted the same key and has not ended. `skip_committed`: looks for committed keys and leaves them out. Without
// it such a key raises 23505, which saves the look-ups in the usual case, where all keys are new.
Inserted insert_keys(Items items, int64 ts, bool skip_committed);

}  // namespace sealcast::admission
