// Sorting members by key and moving their text, shared by the text path and CanonicalWriter.
#include "member_order.h"

#include <algorithm>
#include <cstring>

#include "error.h"

namespace sealcast {

void Poll::look() const {
  if (flag_ != nullptr && *flag_ != 0) throw Error(ErrorKind::interrupted, "canonicalization was interrupted");
}

std::strong_ordering compare_keys(std::string_view a, std::string_view b) {
  const std::size_t common = std::min(a.size(), b.size());
  const std::size_t i =
      static_cast<std::size_t>(std::mismatch(a.begin(), a.begin() + common, b.begin()).first - a.begin());
  if (i == common) return a.size() <=> b.size();
  const auto x = static_cast<unsigned char>(a[i]);
  const auto y = static_cast<unsigned char>(b[i]);
  // UTF-8 sorts by code point. UTF-16 differs only where surrogates (lead bytes from F0 on) meet U+E000..U+FFFF
  // (lead bytes EE and EF), which they precede.
  if (x >= 0xEE && y >= 0xEE && (x >= 0xF0) != (y >= 0xF0)) return y <=> x;
  return x <=> y;
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
  std::size_t at = std::min_element(members.begin(), members.end(), [](const Member& a, const Member& b) {
                     return a.begin < b.begin;
                   })->begin;
  // Those that stand right already, at the front, stay.
  while (!members.empty() && members.front().begin == at) {
    at = members.front().end + 1;
    members = members.subspan(1);
  }
  if (members.empty()) return;
  const std::size_t start = at;
  scratch.clear();
  for (Member& member : members) {
    const std::size_t size = member.end - member.begin;
    poll.spend(size + sizeof(Member));
    scratch.append(text + member.begin, size);
    scratch += ',';
    member.begin = at;
    member.end = at + size;
    at += size + 1;
  }
  std::memcpy(text + start, scratch.data(), scratch.size() - 1);
}

}  // namespace sealcast
