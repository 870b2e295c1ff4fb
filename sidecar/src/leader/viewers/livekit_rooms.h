// Parses LiveKit's list of rooms; livekit.h links its documentation. This class has a file of its own because the
// fuzzer links it without the HTTP client of livekit.cpp.
#pragma once

#include <simdjson.h>

#include <string>
#include <string_view>
#include <vector>

#include "client/http/answer.h"
#include "leader/viewers/viewer_source.h"

namespace sealcast::leader::viewers {

class LiveKitRooms {
 public:
  // `room` is the template for the names of rooms. It must contain {stream_id}.
  explicit LiveKitRooms(std::string_view room);

  struct Room {
    std::string name;
    std::string stream_id;
    std::int32_t viewers;  // the participants who do not publish
  };

  // Appends the rooms that belong to a stream. Returns an empty text, or the reason why the answer is invalid.
  std::string read(const client::http::Answer& answer, std::vector<Room>& found);

  std::string name_of(std::string_view stream_id) const { return prefix_ + std::string(stream_id) + suffix_; }

 private:
  std::string stream_of(std::string_view room) const;  // returns an empty text if the room belongs to no stream

  std::string prefix_;
  std::string suffix_;
  simdjson::dom::parser parser_;
};

}  // namespace sealcast::leader::viewers
