// The partitions of stream_runs, and the runs of a stream in one of them.
#pragma once

#include "relay/public_channel.h"
#include "server/index_lookup.h"

namespace sealcast::relay {

// A run, as stream_runs has it. `public_messages` is valid until the scan moves or ends.
struct LoggedRun {
  int64 offset;  // of the first message
  int messages;
  int64 logged_at;  // milliseconds since 1970
  int64 ts;         // of its messages, milliseconds since 1970
  int64 first_id;   // the message_id of the first message
  PublicMessages public_messages;

  int64 last() const { return offset + messages - 1; }
};

// A partition is opened when it is first read, and read with the active snapshot. Trivially destructible, because after
// an error no destructor runs.
class DayRuns {
 public:
  explicit DayRuns(Oid partition) : partition_(partition) {}

  // Start at the runs of the stream whose first offset is at most, or at least, `bound`. Without a bound at all of
  // them. The stream_id must stay valid until the scan ends.
  void find(const pg_uuid_t& stream_id);
  void find(const pg_uuid_t& stream_id, StrategyNumber compare, int64 bound);
  // After find(): next() returns the oldest run and then newer ones, last() the newest run and then older ones.
  std::optional<LoggedRun> next() { return rows_ && rows_->next() ? std::optional(current()) : std::nullopt; }
  std::optional<LoggedRun> last() { return rows_ && rows_->last() ? std::optional(current()) : std::nullopt; }

  void close();
  // Also gives up the locks, so that a reader of many partitions does not hold the locks of all of them.
  void close_and_unlock();

 private:
  void open();
  LoggedRun current();

  Oid partition_;
  bool opened_ = false;
  std::optional<server::IndexLookup> rows_{};  // nullopt if the partition is empty
  int offset_ = 0, messages_ = 0, logged_at_ = 0, ts_ = 0, first_id_ = 0, public_before_ = 0, public_bits_ = 0;
};

// The open table stream_runs, and its partitions.
struct RunLog {
  Relation table;
  std::span<DayRuns> days;  // the partitions with bounds, the oldest first
  std::span<DayRuns> rest;  // the default partition, whose rows are of any day; empty if there is none

  static RunLog open();
  void close();
};

}  // namespace sealcast::relay
