// Seals messages and inserts them with their outbox rows. Every admitted message is stored here.
#pragma once

#include "admission/txn_keys.h"
#include "core/keyring.h"

namespace sealcast::admission {

// Seals and inserts the items, sets their verdicts to 200 with the envelope, and wakes the relay after the commit.
// `ts`: the time of the messages in Unix milliseconds, with which their keys were inserted.
void store(const Inserted& inserted, const core::Key& key, int64 ts);

}  // namespace sealcast::admission
