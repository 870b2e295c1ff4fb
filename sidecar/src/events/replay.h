// `sealcastd replay`: reads messages from the history and adds them to the event partitions again, in order per stream.
// For handlers a repeat changes nothing.
#pragma once

#include <string>

#include "config/settings.h"

namespace sealcast::events {

struct ReplayRequest {
  std::string from;       // an offset, of `stream_id`; or a time, as Postgres reads it
  std::string stream_id;  // empty: all streams
};

// Returns when all is added; says on standard output how far it is. Throws SettingsError for a request that makes no
// sense, postgres::Error when Postgres refuses.
void replay(const config::Settings& settings, const ReplayRequest& request);

}  // namespace sealcast::events
