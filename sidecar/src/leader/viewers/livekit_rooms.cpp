// Parses LiveKit's answer to ListRooms, and finds the stream id in the name of each room.
#include "leader/viewers/livekit_rooms.h"

#include <charconv>

#include "core/uuid.h"

namespace sealcast::leader::viewers {
namespace {

constexpr std::string_view kStreamId = "{stream_id}";

// Reads a number in protobuf's JSON mapping. Returns 0 if the member is missing or is not a whole number.
std::int64_t number(simdjson::dom::object object, std::string_view snake_case, std::string_view camel_case) {
  for (const std::string_view name : {snake_case, camel_case}) {
    std::int64_t value = 0;
    std::string_view text;
    if (object[name].get(value) == simdjson::SUCCESS) return value;
    if (object[name].get(text) != simdjson::SUCCESS) continue;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error == std::errc() && end == text.data() + text.size()) return value;
  }
  return 0;
}

}  // namespace

LiveKitRooms::LiveKitRooms(std::string_view room)
    : prefix_(room.substr(0, room.find(kStreamId))), suffix_(room.substr(room.find(kStreamId) + kStreamId.size())) {}

std::string LiveKitRooms::read(const client::http::Answer& answer, ViewerCounts& counts) {
  if (answer.status == 0) return answer.failure;
  simdjson::dom::element root;
  const bool is_json = parser_.parse(answer.body).get(root) == simdjson::SUCCESS;
  if (answer.status != 200) {
    std::string problem = "it answered " + std::to_string(answer.status);
    for (const char* member : {"code", "msg"}) {
      std::string_view text;
      if (is_json && root[member].get(text) == simdjson::SUCCESS) problem += ", " + client::http::one_line(text);
    }
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
    const std::int64_t participants = number(room, "num_participants", "numParticipants");
    if (stream_id.empty() || participants <= 0) continue;
    counts[stream_id] = bounded_viewers(participants);
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
