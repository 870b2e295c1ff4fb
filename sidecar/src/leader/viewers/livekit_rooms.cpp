// Parses LiveKit's answer to ListRooms, and finds the stream id in the name of each room.
#include "leader/viewers/livekit_rooms.h"

#include <charconv>
#include <cstdint>
#include <utility>

#include "core/uuid.h"

namespace sealcast::leader::viewers {
namespace {

constexpr std::string_view kStreamId = "{stream_id}";

// Reads a uint32 in protobuf's JSON mapping. Returns 0 if the member is missing or is not a number of this range.
std::uint32_t number(simdjson::dom::object object, std::string_view snake_case, std::string_view camel_case) {
  for (const std::string_view name : {snake_case, camel_case}) {
    std::uint64_t value = 0;
    std::uint32_t number = 0;
    std::string_view text;
    if (object[name].get(value) == simdjson::SUCCESS && std::in_range<std::uint32_t>(value)) {
      return static_cast<std::uint32_t>(value);
    }
    if (object[name].get(text) != simdjson::SUCCESS) continue;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error == std::errc() && end == text.data() + text.size()) return number;
  }
  return 0;
}

}  // namespace

LiveKitRooms::LiveKitRooms(std::string_view room)
    : prefix_(room.substr(0, room.find(kStreamId))), suffix_(room.substr(room.find(kStreamId) + kStreamId.size())) {}

std::string LiveKitRooms::read(const client::http::Answer& answer, std::vector<Room>& found) {
  if (answer.status == 0) return answer.failure;
  simdjson::dom::element root;
  const bool is_json = parser_.parse(answer.body).get(root) == simdjson::SUCCESS;
  if (answer.status != 200) {
    std::string problem = "it answered " + std::to_string(answer.status);
    bool is_twirp = false;
    for (const char* member : {"code", "msg"}) {
      std::string_view text;
      if (!is_json || root[member].get(text) != simdjson::SUCCESS) continue;
      problem += ", " + client::http::one_line(text);
      is_twirp = true;
    }
    // LiveKit refuses a token in plain text (livekit/livekit: pkg/service/auth.go), and a proxy may answer anything.
    if (!is_twirp && !answer.body.empty()) problem += ", " + client::http::one_line(answer.body);
    return problem;
  }
  simdjson::dom::object object;
  if (!is_json || root.get(object) != simdjson::SUCCESS) return "its answer is not a JSON object";
  simdjson::dom::array rooms;
  const auto error = object["rooms"].get(rooms);
  if (error == simdjson::NO_SUCH_FIELD) return {};  // protobuf's JSON mapping leaves out an empty list
  if (error) return "rooms is not a list";
  for (const auto element : rooms) {
    simdjson::dom::object room;
    std::string_view name;
    if (element.get(room) || room["name"].get(name)) return "a room has no name";
    const std::string stream_id = stream_of(name);
    const std::int64_t viewers = std::int64_t{number(room, "num_participants", "numParticipants")} -
                                 number(room, "num_publishers", "numPublishers");
    if (!stream_id.empty()) found.push_back({std::string(name), stream_id, bounded_viewers(viewers)});
  }
  return {};
}

std::string LiveKitRooms::stream_of(std::string_view room) const {
  std::string stream_id;
  if (room.size() < prefix_.size() + suffix_.size() || !room.starts_with(prefix_) || !room.ends_with(suffix_))
    return {};
  room.remove_prefix(prefix_.size());
  room.remove_suffix(suffix_.size());
  return core::normalize_uuid(room, stream_id) ? stream_id : std::string();
}

}  // namespace sealcast::leader::viewers
