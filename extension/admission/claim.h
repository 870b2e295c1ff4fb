// Claiming the keys of a batch: the one uniqueness of the system decides who is first.
#pragma once

#include "admission/batch.h"

namespace sealcast::admission {

// The items that got their key, each with its message_id, in that order: by stream, then as they came in.
struct Claimed {
  Item** items;
  int count;
};

// By sender and txn_id, then as they came in: in this order keys are taken, so that two batches cannot wait for each
// other in a circle.
void sort_by_key(Item** items, int count);

// Claims the keys of all admissible items without an admit hook. Waits, up to lock_timeout, for a transaction that
// holds one. `look_first`: leaves out what is committed; without it such a key is 23505, which costs the many that are
// new nothing.
Claimed claim(Items items, int64 ts, bool look_first);

}  // namespace sealcast::admission
