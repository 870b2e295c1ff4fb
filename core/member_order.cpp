// Sorts the members of an object by key and moves their text, for canonicalize() and CanonicalWriter.
#include "core/member_order.h"

#include <algorithm>
#include <cstring>

#include "core/error.h"
#include "core/plain_bytes.h"

namespace sealcast::core {

void Poll::check() const {
  if (flag_ != nullptr && *flag_ != 0) throw Error(ErrorKind::interrupted, "canonicalization was interrupted");
}

namespace {

// Up to this number of members, insertion sort is faster than std::sort.
constexpr std::size_t kInsertionSortMax = 16;

bool before(const Member& a, const Member& b, Poll& poll) {
  poll.spend(sizeof(Member));
  if (a.prefix != b.prefix) return a.prefix < b.prefix;
  poll.spend(std::min(a.key.size(), b.key.size()));
  const std::strong_ordering order = compare_keys(a.key, b.key);
  return order < 0 || (order == 0 && a.source < b.source);
}

// Copies a short text in steps of 16 bytes, which is faster than memcpy. So it reads and writes up to 15 bytes more
// than `size`.
char* copy_with_slack(char* to, const char* from, std::size_t size) {
  constexpr std::size_t kStep = 16;
  if (size > 16 * kStep) {
    std::memcpy(to, from, size);
  } else {
    for (std::size_t i = 0; i < size; i += kStep) std::memcpy(to + i, from + i, kStep);
  }
  return to + size;
}

}  // namespace

const Member* sort_members(std::span<Member> members, Poll& poll) {
  if (members.size() > kInsertionSortMax) {
    std::sort(members.begin(), members.end(), [&poll](const Member& a, const Member& b) { return before(a, b, poll); });
  } else {
    for (std::size_t i = 1; i < members.size(); ++i) {
      if (!before(members[i], members[i - 1], poll)) continue;
      const Member moving = members[i];
      std::size_t hole = i;
      do {
        members[hole] = members[hole - 1];
        --hole;
      } while (hole > 0 && before(moving, members[hole - 1], poll));
      members[hole] = moving;
    }
  }
  for (std::size_t i = 1; i < members.size(); ++i) {
    if (members[i - 1].prefix == members[i].prefix && members[i - 1].key == members[i].key) return &members[i];
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
  // Skips the members at the front that are already in their place.
  while (!members.empty() && members.front().begin == start) {
    start = members.front().end + 1;
    members = members.subspan(1);
  }
  if (members.empty()) return;
  if (scratch.size() < end + 1 - start + kSlack) scratch.resize(end + 1 - start + kSlack);
  char* to = scratch.data();
  for (Member& member : members) {
    const std::size_t size = member.end - member.begin;
    poll.spend(size + sizeof(Member));
    const char* const from = text + member.begin;
    member.begin = start + static_cast<std::size_t>(to - scratch.data());
    member.end = member.begin + size;
    to = copy_with_slack(to, from, size);
    *to++ = ',';
  }
  std::memcpy(text + start, scratch.data(), end - start);
}

}  // namespace sealcast::core
