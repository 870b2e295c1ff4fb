// The command `sealcastd replay`: adds stored messages to the event partitions again, in order per stream.
//
// A message that is already in a partition is there twice then; a handler applies it once.
#pragma once

#include <string>

#include "config/settings.h"

namespace sealcast::events {

struct ReplayRequest {
  std::string from;       // an offset in `stream_id`, or a time in any format of Postgres
  std::string stream_id;  // empty: all streams
};

// Returns when all messages are added. Prints its progress on standard output, and why it waits on standard error.
// Throws SettingsError for an invalid request, postgres::Error when a statement fails.
void replay(const config::Settings& settings, const ReplayRequest& request);

}  // namespace sealcast::events
