// Sorting members by key and moving their text, shared by the text path and CanonicalWriter.
#include "member_order.h"

#include <algorithm>
#include <cstring>

#include "error.h"

namespace sealcast {

void Poll::look() const {
  if (flag_ != nullptr && *flag_ != 0) throw Error(ErrorKind::interrupted, "canonicalization was interrupted");
}

const Member* sort_members(std::span<Member> members, Poll& poll) {
  std::sort(members.begin(), members.end(), [&poll](const Member& a, const Member& b) {
    poll.spend(std::min(a.key.size(), b.key.size()) + sizeof(Member));
    const std::strong_ordering order = compare_keys(a.key, b.key);
    return order < 0 || (order == 0 && a.source < b.source);
  });
  for (std::size_t i = 1; i < members.size(); ++i) {
    if (members[i - 1].key == members[i].key) return &members[i];
  }
  return nullptr;
}

void move_members(std::span<Member> members, char* text, std::string& scratch, Poll& poll) {
  if (members.empty()) return;
  std::size_t start = members[0].begin;
  std::size_t end = members[0].end;
  for (const Member& member : members) {
    start = std::min(start, member.begin);
    end = std::max(end, member.end);
  }
  // Those that stand right already, at the front, stay.
  while (!members.empty() && members.front().begin == start) {
    start = members.front().end + 1;
    members = members.subspan(1);
  }
  if (members.empty()) return;
  if (scratch.size() < end + 1 - start) scratch.resize(end + 1 - start);
  char* to = scratch.data();
  for (Member& member : members) {
    const std::size_t size = member.end - member.begin;
    poll.spend(size + sizeof(Member));
    std::memcpy(to, text + member.begin, size);
    member.begin = start + static_cast<std::size_t>(to - scratch.data());
    member.end = member.begin + size;
    to += size;
    *to++ = ',';
  }
  std::memcpy(text + start, scratch.data(), end - start);
}

}  // namespace sealcast
