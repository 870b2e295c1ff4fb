// Collects the messages of retained types that a drain relays, and makes them the state of their streams.
#pragma once

#include "relay/outbox.h"
#include "server/pg.h"

extern "C" {
#include "nodes/pg_list.h"
}

namespace sealcast::relay {

// Trivially destructible, because after an error no destructor runs.
class Retained {
 public:
  // Reads the retained types with the active snapshot.
  static Retained open();

  // Returns whether messages of this type are retained.
  bool includes(const text* t) const;
  // Adds message number `i` (from 0) of a run.
  void add(const Run& run, int i, int64 public_prev);
  // Writes the state of the streams of the added messages. Does nothing if no message was added.
  void save() const;

 private:
  struct Message {
    pg_uuid_t stream_id;
    int64 offset;
    int64 public_prev;
    int64 ts;
    int64 message_id;
  };

  MemoryContext memory_ = nullptr;  // the current context at open()
  List* types_ = nullptr;           // of text
  List* messages_ = nullptr;        // of Message
};

}  // namespace sealcast::relay
