// Inserts the keys (sender_id, txn_id) of a batch into txn_keys. If several messages have the same key, only the unique
// index of this table decides which of them is the original.
#pragma once

#include "admission/batch.h"

namespace sealcast::admission {

// The items whose keys were inserted. Each item has its message_id. They are sorted by stream and then by Item::number.
struct Inserted {
  Item** items;
  int count;
};

// Sorts items by sender_id, txn_id and Item::number. All batches insert their keys in this order, so that two batches
// cannot deadlock.
void sort_by_key(std::span<Item*> items);

// Gives message_ids to the items, and inserts their keys. Sorts `items`. If several items have the same key, only the
// first one is inserted. If an open transaction has inserted one of the keys, waits up to lock_timeout until it ends.
// If `skip_committed` is true, first looks up all keys and leaves out the committed ones. If it is false, a committed
// key raises error 23505; this saves the look-ups in the usual case, in which all keys are new.
Inserted insert_keys(std::span<Item*> items, int64 ts, bool skip_committed);

// Returns whether the error says that a key is in txn_keys already, or that an open transaction holds one. An error of
// another table or constraint, for example a unique index of the operator, is neither.
bool is_used_key(const ErrorData* error);
bool is_held_key(const ErrorData* error);

}  // namespace sealcast::admission
