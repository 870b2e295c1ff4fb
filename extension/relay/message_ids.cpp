// Takes blocks of message_ids from the sequence message_ids: one value of the sequence is one block.
#include "relay/message_ids.h"

#include "server/catalog.h"

extern "C" {
#include "commands/sequence.h"
}

namespace sealcast::relay {

namespace {
constexpr char kSequence[] = "message_ids";
}

int64 next_id_block() { return nextval_internal(server::table_id(kSequence), false) * kIdsInBlock; }

int64 newest_message_id() {
  const std::optional<int64> last = server::last_value(kSequence);
  return last ? (*last + 1) * kIdsInBlock - 1 : 0;
}

}  // namespace sealcast::relay
