// Finds the first run of a walk by one index look-up per partition, from the newest partition back, and then follows
// the indexes.
#include "relay/stream_runs.h"

namespace sealcast::relay {

void RunChain::start_forwards(const pg_uuid_t& stream_id, int64 from) {
  forwards_ = true;
  stream_id_ = &stream_id;
  bound_ = from;
  // The newest run that begins at or below `from` has this offset, or ends before it.
  for (at_ = days_.size(); at_-- > 0;) {
    days_[at_].find(stream_id, BTLessEqualStrategyNumber, from);
    if (const std::optional<LoggedRun> run = days_[at_].last()) {
      days_[at_].find(stream_id, BTGreaterEqualStrategyNumber, run->offset);
      head_ = days_[at_].next();
      return;
    }
    days_[at_].close_and_unlock();
  }
  // at_ is the number before the first one, so this enters the oldest partition.
  enter_next_day();
}

void RunChain::start_backwards(const pg_uuid_t& stream_id, int64 below) {
  forwards_ = false;
  stream_id_ = &stream_id;
  bound_ = below;
  at_ = days_.size();
  enter_next_day();
}

void RunChain::advance() {
  head_ = forwards_ ? days_[at_].next() : days_[at_].last();
  if (!head_) enter_next_day();
}

// Moves to the next partition that has a run of the walk.
void RunChain::enter_next_day() {
  head_.reset();
  while ((forwards_ ? ++at_ : --at_) < days_.size()) {
    CHECK_FOR_INTERRUPTS();
    DayRuns& day = days_[at_];
    day.find(*stream_id_, forwards_ ? BTGreaterEqualStrategyNumber : BTLessStrategyNumber, bound_);
    head_ = forwards_ ? day.next() : day.last();
    if (head_) return;
    day.close_and_unlock();
  }
}

StreamRuns StreamRuns::open(bool forwards) {
  StreamRuns runs;
  runs.forwards_ = forwards;
  runs.log_ = RunLog::open();
  runs.chains_[0] = RunChain(runs.log_.days);
  runs.chains_[1] = RunChain(runs.log_.rest);
  return runs;
}

StreamRuns StreamRuns::forwards(const pg_uuid_t& stream_id, int64 from) {
  StreamRuns runs = open(true);
  for (RunChain& chain : runs.chains_) chain.start_forwards(stream_id, from);
  return runs;
}

StreamRuns StreamRuns::backwards(const pg_uuid_t& stream_id, int64 below) {
  StreamRuns runs = open(false);
  for (RunChain& chain : runs.chains_) chain.start_backwards(stream_id, below);
  return runs;
}

void StreamRuns::close() { log_.close(); }

const LoggedRun* StreamRuns::next() {
  if (current_ != nullptr) current_->advance();
  current_ = nullptr;
  for (RunChain& chain : chains_) {
    if (!chain.head()) continue;
    if (current_ == nullptr || (chain.head()->offset < current_->head()->offset) == forwards_) current_ = &chain;
  }
  return current_ == nullptr ? nullptr : &*current_->head();
}

}  // namespace sealcast::relay
