// Records which keys the running statements have reserved, and which keys a statement of the transaction returned.
#include "triggers/reservations.h"

#include "triggers/companions.h"
#include "triggers/row_keys_table.h"

extern "C" {
#include "access/xact.h"
#include "executor/spi.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
}

namespace sealcast::triggers::reservations {

struct Reserved {
  RowKey key;
  bool moved;  // the row moves, so its key stays whatever happens to the row
};

// Lives in the memory context of the statement, and so do its arrays.
struct Statement {
  Statement* previous;
  Statement* next;
  MemoryContext memory;
  SubTransactionId subtransaction;
  MemoryContextCallback at_end;
  // AFTER INSERT triggers fire in the order of the insertions. So the key to confirm is almost always the first one.
  Reserved* reserved;
  std::size_t first;  // position of the first reserved key that was not confirmed
  std::size_t count;  // end of the used part of `reserved`
  std::size_t capacity;
  HTAB* deleted;  // keys of deleted rows without an insertion yet
  bool last_was_delete;
  bool forgot_deletions;
};

namespace {

constexpr std::size_t kFirstCapacity = 16;
// A statement that deletes more rows before it inserts them cannot move them.
constexpr long kMaxDeleted = 65536;

struct Returned {
  RowKey key;
  SubTransactionId subtransaction;  // the one that inserted the key into row_keys
  SubTransactionId taken_by;        // the one whose row has the key; invalid: no row has it
};

Statement* statements = nullptr;  // the newest first; linked by `next`
HTAB* returned = nullptr;         // in TopTransactionContext

HTAB* new_table(const char* name, std::size_t entry_size, MemoryContext memory) {
  HASHCTL control = {};
  control.keysize = sizeof(RowKey);
  control.entrysize = entry_size;
  control.hcxt = memory;
  return hash_create(name, 64, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

Returned* find_returned(const RowKey& key) {
  if (returned == nullptr) return nullptr;
  return static_cast<Returned*>(hash_search(returned, &key, HASH_FIND, nullptr));
}

void give_back(const Reserved& reserved, SubTransactionId subtransaction) {
  if (reserved.moved) return;
  if (returned == nullptr) returned = new_table("sealcast returned row keys", sizeof(Returned), TopTransactionContext);
  bool found;
  auto* const entry = static_cast<Returned*>(hash_search(returned, &reserved.key, HASH_ENTER, &found));
  if (!found) entry->subtransaction = subtransaction;
  entry->taken_by = InvalidSubTransactionId;
}

void give_back_all(Statement& statement) {
  for (std::size_t i = statement.first; i < statement.count; ++i) {
    give_back(statement.reserved[i], statement.subtransaction);
  }
  statement.first = statement.count = 0;
}

void end_statement(void* argument) {
  auto* const statement = static_cast<Statement*>(argument);
  (statement->previous == nullptr ? statements : statement->previous->next) = statement->next;
  if (statement->next != nullptr) statement->next->previous = statement->previous;
  // An aborted statement has lost its keys already.
  if (IsTransactionState()) give_back_all(*statement);
}

// Deletes the keys that no row has.
void delete_returned() {
  for (Statement* each = statements; each != nullptr; each = each->next) give_back_all(*each);
  if (returned == nullptr) return;
  HASH_SEQ_STATUS scan;
  hash_seq_init(&scan, returned);
  while (auto* const entry = static_cast<Returned*>(hash_seq_search(&scan))) {
    if (entry->taken_by == InvalidSubTransactionId) delete_row_key(entry->key);
  }
  returned = nullptr;
}

void at_transaction_end(XactEvent event, void*) {
  switch (event) {
    case XACT_EVENT_PRE_COMMIT:
    case XACT_EVENT_PRE_PREPARE:
      delete_returned();
      break;
    case XACT_EVENT_COMMIT:
    case XACT_EVENT_ABORT:
    case XACT_EVENT_PREPARE:
      returned = nullptr;
      break;
    default:
      break;
  }
}

void at_subtransaction_end(SubXactEvent event, SubTransactionId ended, SubTransactionId parent, void*) {
  if (event != SUBXACT_EVENT_COMMIT_SUB && event != SUBXACT_EVENT_ABORT_SUB) return;
  const bool committed = event == SUBXACT_EVENT_COMMIT_SUB;
  for (Statement* statement = statements; statement != nullptr; statement = statement->next) {
    if (statement->subtransaction != ended) continue;
    if (!committed) statement->first = statement->count = 0;
    statement->subtransaction = parent;
  }
  if (returned == nullptr) return;
  HASH_SEQ_STATUS scan;
  hash_seq_init(&scan, returned);
  while (auto* const entry = static_cast<Returned*>(hash_seq_search(&scan))) {
    if (entry->subtransaction == ended) {
      if (committed) {
        entry->subtransaction = parent;
      } else {
        hash_search(returned, &entry->key, HASH_REMOVE, nullptr);
        continue;
      }
    }
    if (entry->taken_by == ended) entry->taken_by = committed ? parent : InvalidSubTransactionId;
  }
}

void register_callbacks() {
  static bool registered = false;
  if (registered) return;
  RegisterXactCallback(at_transaction_end, nullptr);
  RegisterSubXactCallback(at_subtransaction_end, nullptr);
  registered = true;
}

bool confirm_reserved(Statement& statement, const RowKey& key) {
  for (std::size_t i = statement.first; i < statement.count; ++i) {
    if (!(statement.reserved[i].key == key)) continue;
    // AFTER INSERT passed these keys over, so no row has them.
    for (std::size_t j = statement.first; j < i; ++j) give_back(statement.reserved[j], statement.subtransaction);
    statement.first = i + 1;
    if (statement.first == statement.count) statement.first = statement.count = 0;
    return true;
  }
  return false;
}

}  // namespace

Statement& statement_of(FmgrInfo* info) {
  if (info->fn_extra != nullptr) return *static_cast<Statement*>(info->fn_extra);
  for (Statement* statement = statements; statement != nullptr; statement = statement->next) {
    if (statement->memory != info->fn_mcxt || statement->subtransaction != GetCurrentSubTransactionId()) continue;
    info->fn_extra = statement;
    return *statement;
  }
  register_callbacks();
  auto* const statement = static_cast<Statement*>(MemoryContextAllocZero(info->fn_mcxt, sizeof(Statement)));
  statement->memory = info->fn_mcxt;
  statement->subtransaction = GetCurrentSubTransactionId();
  statement->at_end = {end_statement, statement, nullptr};
  MemoryContextRegisterResetCallback(info->fn_mcxt, &statement->at_end);
  statement->next = statements;
  if (statements != nullptr) statements->previous = statement;
  statements = statement;
  info->fn_extra = statement;
  return *statement;
}

static void append(Statement& statement, const Reserved& reserved) {
  if (statement.count == statement.capacity) {
    const std::size_t capacity = statement.capacity == 0 ? kFirstCapacity : statement.capacity * 2;
    const std::size_t bytes = capacity * sizeof(Reserved);
    statement.reserved =
        static_cast<Reserved*>(statement.reserved == nullptr ? MemoryContextAllocHuge(statement.memory, bytes)
                                                             : repalloc_huge(statement.reserved, bytes));
    statement.capacity = capacity;
  }
  statement.reserved[statement.count++] = reserved;
  statement.last_was_delete = false;
}

void reserve(Statement& statement, const RowKey& key) { append(statement, {key, false}); }

bool take_returned(const RowKey& key) {
  Returned* const entry = find_returned(key);
  if (entry == nullptr || entry->taken_by != InvalidSubTransactionId) return false;
  entry->taken_by = GetCurrentSubTransactionId();
  return true;
}

bool confirm(const RowKey& key) {
  for (Statement* each = statements; each != nullptr; each = each->next) {
    if (confirm_reserved(*each, key)) return true;
  }
  Returned* const entry = find_returned(key);
  if (entry == nullptr) return false;
  if (entry->taken_by == InvalidSubTransactionId) entry->taken_by = GetCurrentSubTransactionId();
  return true;
}

void note_deleted(Statement& statement, const RowKey& key) {
  if (statement.deleted == nullptr) {
    statement.deleted = new_table("sealcast keys of deleted rows", sizeof(RowKey), statement.memory);
  }
  if (hash_get_num_entries(statement.deleted) < kMaxDeleted) {
    hash_search(statement.deleted, &key, HASH_ENTER, nullptr);
  } else {
    statement.forgot_deletions = true;
  }
  statement.last_was_delete = true;
}

bool take_deleted(Statement& statement, const RowKey& key) {
  if (statement.deleted == nullptr) return false;
  if (hash_search(statement.deleted, &key, HASH_REMOVE, nullptr) == nullptr) return false;
  append(statement, {key, true});
  return true;
}

bool may_be_moving(Statement& statement, Oid root) {
  return statement.last_was_delete || statement.forgot_deletions || !notice_all_deletions(root);
}

}  // namespace sealcast::triggers::reservations
