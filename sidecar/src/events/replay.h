// The command `sealcastd replay`: adds stored messages to the event partitions again, in order per stream.
//
// A replay may add a message that is already in a partition. Each handler still applies that message only once.
#pragma once

#include <string>

#include "config/settings.h"

namespace sealcast::events {

struct ReplayRequest {
  std::string from;       // an offset of the stream `stream_id`, or a time in any format that Postgres reads
  std::string stream_id;  // empty: all streams
};

// Returns when all messages are added. Prints its progress on standard output. Prints on standard error why it waits,
// for example for memory in Redis. Throws SettingsError when the request is invalid or redis_events.url is empty,
// postgres::Error when a statement fails, and std::runtime_error when it cannot connect to Postgres within 10 s.
void replay(const config::Settings& settings, const ReplayRequest& request);

}  // namespace sealcast::events
