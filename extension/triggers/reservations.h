// The keys that this transaction has reserved for rows that may not be stored in the end.
//
// BEFORE INSERT reserves the key of a row: it inserts the key into sealcast_internal.row_keys. ON CONFLICT DO NOTHING
// or a later trigger may still drop the row. AFTER INSERT confirms the key. A key that is not confirmed when its
// statement ends is returned: the next row of the transaction with this key takes it, and the end of the transaction
// deletes it from sealcast_internal.row_keys if no row took it.
//
// A statement holds 24 bytes for each row that it has inserted so far; AFTER INSERT releases them.
#pragma once

#include "triggers/row_key.h"

namespace sealcast::triggers::reservations {

struct Statement;

// Returns the statement that calls the trigger function of `info`. The result is valid until that statement ends.
Statement& statement_of(FmgrInfo* info);

void reserve(Statement& statement, const RowKey& key);

// Takes a key that an earlier statement returned. Returns false if there is no such key.
bool take_returned(const RowKey& key);

// Confirms a reserved or returned key. Returns false if the key is neither.
bool confirm(const RowKey& key);

// A statement deletes a row and then inserts a row with the same key: UPDATE and MERGE across partitions, or DELETE …
// RETURNING in a WITH clause of INSERT. The row moves and needs no new key.
void note_deleted(Statement& statement, const RowKey& key);
// Returns whether the row of this key moves; forgets its deletion.
bool take_deleted(Statement& statement, const RowKey& key);
// Returns whether the row that is inserted now into a partition may be one that the statement has deleted: the newest
// deletion has no insertion yet, or deletions are not noticed everywhere. Such a row must not be skipped.
bool may_be_moving(Statement& statement, Oid root);

}  // namespace sealcast::triggers::reservations
