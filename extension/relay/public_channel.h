// Which messages of a run are on the public channel, from the columns of the run in stream_runs.
#pragma once

#include "server/pg.h"

namespace sealcast::relay {

// The columns public_before and public_bits of a run.
struct PublicMessages {
  int64 before;                          // the newest offset on the public channel before the run
  std::optional<std::string_view> bits;  // one bit per message, the lowest bit of a byte first; nullopt: all messages

  // Returns the columns of a run that begins with this offset. `public_before` is nullopt for offset - 1.
  static PublicMessages of(int64 offset, std::optional<Datum> public_before, std::optional<Datum> public_bits);

  // Returns whether message number `i` (from 0) is on the public channel.
  bool contains(int i) const;
  // Returns the newest offset on the public channel before message number `i` of a run that begins with `offset`.
  int64 offset_before(int64 offset, int64 i) const;
};

}  // namespace sealcast::relay
