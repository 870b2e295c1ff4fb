// The companions of a trigger idempotent_insert(): internal triggers of the same table, which the event trigger
// sealcast_row_triggers makes. They confirm keys, notice moved rows, and free the keys of a truncated table. pg_dump
// does not dump internal triggers, and a companion is dropped together with its trigger.
#pragma once

#include "server/pg.h"

extern "C" {
#include "commands/trigger.h"
#include "utils/rel.h"
}

namespace sealcast::triggers {

// Returns the first enabled BEFORE INSERT trigger of the table that calls idempotent_insert(), or null.
const Trigger* first_idempotent(Relation table);

// Raises error 55000 if a companion is missing.
void require_companions(Relation table);

// Returns whether the companions notice each row that leaves a partition of the partitioned table. They do not if a
// partition lacks them, because only another partition has the trigger, or if they are disabled.
bool notice_all_deletions(Oid root);

}  // namespace sealcast::triggers
