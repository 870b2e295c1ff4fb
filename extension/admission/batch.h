// One call of admit(): the messages it was given, what the database knows of each, and the verdicts it hands over.
//
// All of this lives in the memory of the call, in structs without destructors, since any step may leave by ereport.
#pragma once

#include "admission/cells.h"

namespace sealcast::admission {

// A verdict's texts; null = the column is null.
struct Answer {
  int status = 0;  // 0: not answered yet
  const char* code = nullptr;
  const char* message = nullptr;
  const char* details = nullptr;
  const char* hint = nullptr;
  std::optional<int64> retry_after_ms{};
  bool replayed = false;
  const text* envelope = nullptr;
};

// A row of message_types.
struct TypeRules {
  const text* t;
  int max_bytes;
  ArrayType* required_roles;  // null = anyone
  bool system_only;
  bool states_role;  // server_fields is {user_role}
  Oid admit_hook;    // InvalidOid = none
};

// A row of streams.
struct StreamState {
  std::optional<TimestampTz> closed_at;
};

// The row of restrictions that counts most: a ban before a mute, the one that ends last.
struct Restriction {
  bool ban;
  bool everywhere;
  std::optional<TimestampTz> until;
};

struct Item {
  int number;  // from 1
  // As given; null where the array holds a null.
  const pg_uuid_t* stream_id;
  const text* t;
  const pg_uuid_t* sender_id;
  const pg_uuid_t* txn_id;
  const text* d;

  const Cell* elsewhere;      // the cell that the stream is in; null = this one
  const TypeRules* type;      // null = unknown
  const StreamState* stream;  // null = unknown
  const text* role;           // in this stream; null = none
  const Restriction* restriction;

  const text* canonical;   // null when `problem` says why
  const bytea* sent_hash;  // likewise
  const char* problem;

  bool admissible;
  // Of what is sealed.
  int64 message_id;
  const bytea* sig;
  Answer answer;

  // Whether it has a key to be known by, and so may be a repeat.
  bool has_key() const { return sender_id != nullptr && txn_id != nullptr && canonical != nullptr; }
};

using Items = std::span<Item>;

// The arguments of admit(): five arrays of one length. 2202E when they are not.
Items read_items(FunctionCallInfo fcinfo);

// Fills what the database knows: cell, type, stream, role, restriction. With the snapshot that is active.
void look_up(Items items, TimestampTz now);

// Fills `elsewhere` alone. With the snapshot that is active.
void look_up_cells(Items items);

// Canonical payload and hash of each, also of those who will be refused: a repeat of theirs is answered by its hash.
void prepare(Items items);

// Sets `admissible`, or the answer that refuses. Needs look_up() and prepare().
void judge(Item& item, TimestampTz now);

// The admissible items whose type has an admit hook: each claimed, asked and stored alone. After claim().
void admit_hooked(Items items);

// The items whose key was taken: the original, or that the key was used for something else. Whatever else was to be
// said of them gives way.
void answer_repeats(Items items);

// Answers items whose stream is elsewhere: what was sent here before it moved by its original. Stores nothing.
void answer_elsewhere(Items items);

// All of the above, each item with its answer in the end: admit() behind its arrays.
void admit(Items items);

// Raises an answer that is no 200 as an ERROR: SQLSTATE PTnnn, DETAIL beginning with the code, HINT with the
// milliseconds to wait.
[[noreturn]] void refuse(const Answer& answer);

Answer unknown_type(const text* t);

void write_answers(FunctionCallInfo fcinfo, Items items);

}  // namespace sealcast::admission
