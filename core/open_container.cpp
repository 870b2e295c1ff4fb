// Builds the path of a fault from the open containers.
#include "core/open_container.h"

#include "core/json_string.h"

namespace sealcast::core {

std::string path_of(std::span<const OpenContainer> open, std::span<const Member> members) {
  std::string path = "$";
  for (std::size_t i = 0; i < open.size(); ++i) {
    if (!open[i].object) {
      path += "[" + std::to_string(open[i].count) + "]";
      continue;
    }
    // The open member of a container is directly before the first member of the container inside it.
    const std::size_t next = i + 1 < open.size() ? open[i + 1].first_member : members.size();
    if (next == open[i].first_member) continue;
    path += '[';
    Fault ignored;
    append_json_string(members[next - 1].key, path, ignored);
    path += ']';
  }
  return path;
}

}  // namespace sealcast::core
