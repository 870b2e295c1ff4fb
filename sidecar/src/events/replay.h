// The command `sealcastd replay`: adds stored messages to the event partitions again, in order per stream.
//
// A replay may add a message that is already in a partition. Each handler still applies that message only once. New
// messages come behind the replayed ones, so a replay with a rate adds no messages while a group has many unfinished
// entries in a partition.
#pragma once

#include <string>

#include "config/settings.h"

namespace sealcast::events {

struct ReplayRequest {
  std::string from;       // an offset of the stream `stream_id`, or a time in any format that Postgres reads
  std::string stream_id;  // empty: all streams
  int rate = 2000;        // messages per second; 0: as many as Redis takes, however far behind the groups are
};

// Returns when all messages are added. Prints its progress on standard output. Prints on standard error why it waits,
// for example for a group of workers. Throws SettingsError when the request is invalid or redis_events.url is empty,
// postgres::Error when a statement fails, and std::runtime_error when it cannot connect to Postgres within 10 s.
void replay(const config::Settings& settings, const ReplayRequest& request);

}  // namespace sealcast::events
