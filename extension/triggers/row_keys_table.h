// The table sealcast_internal.row_keys: inserts and deletes keys with the rights of the table's owner.
#pragma once

#include "triggers/row_key.h"

extern "C" {
#include "utils/rel.h"
}

namespace sealcast::triggers {

// Returns the id of the table, or of its topmost partitioned table if it is a partition: all partitions share one set
// of keys.
Oid root_of(Relation table);

// Inserts a key. Returns false if it existed. If an open transaction has inserted the key, waits until that transaction
// ends, for at most 5 seconds, or for the lock_timeout of the session if that is set.
bool insert_row_key(const RowKey& key);

void delete_row_key(const RowKey& key);

// Deletes all keys of a table.
void delete_row_keys(Oid root);

// Executes a statement that inserts or deletes rows of row_keys. Sees all rows that are committed now, whatever the
// isolation level of the transaction.
void change_row_keys(const char* statement);

}  // namespace sealcast::triggers
