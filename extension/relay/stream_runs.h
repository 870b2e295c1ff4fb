// Walks the runs of one stream in order of offset, through all partitions of stream_runs.
#pragma once

#include "relay/day_runs.h"

namespace sealcast::relay {

// The runs of a stream in partitions that follow each other in time. Within a stream, a newer partition has the higher
// offsets. At most the partitions with rows of the stream stay open.
class RunChain {
 public:
  RunChain() = default;
  explicit RunChain(std::span<DayRuns> days) : days_(days) {}

  // Start at the run that has the offset `from`, or else at the next newer run, towards newer runs; or at the newest
  // run that begins below `below`, towards older runs.
  void start_forwards(const pg_uuid_t& stream_id, int64 from);
  void start_backwards(const pg_uuid_t& stream_id, int64 below);

  const std::optional<LoggedRun>& head() const { return head_; }  // valid until advance()
  void advance();

 private:
  void enter_next_day();

  std::span<DayRuns> days_{};
  std::size_t at_ = 0;  // the partition of head_
  bool forwards_ = true;
  const pg_uuid_t* stream_id_ = nullptr;
  int64 bound_ = 0;
  std::optional<LoggedRun> head_{};
};

// Trivially destructible, because after an error no destructor runs. Reads with the active snapshot.
class StreamRuns {
 public:
  static StreamRuns forwards(const pg_uuid_t& stream_id, int64 from);
  static StreamRuns backwards(const pg_uuid_t& stream_id, int64 below);
  void close();

  // Returns the next run, valid until the next call, or nullptr at the end of the walk.
  const LoggedRun* next();

 private:
  static StreamRuns open(bool forwards);

  RunLog log_;
  bool forwards_;
  // The partitions with bounds, and the default partition, whose rows are of any day.
  RunChain chains_[2];
  RunChain* current_ = nullptr;  // the chain whose head next() returned
};

}  // namespace sealcast::relay
