// The event path: the same strings, numbers and member order as the text path, from a caller's walk.
#include <charconv>
#include <cstring>
#include <span>

#include "core/canonical_json.h"
#include "core/error.h"
#include "core/json_number.h"
#include "core/json_string.h"
#include "core/member_order.h"

namespace sealcast::core {

namespace {

constexpr std::size_t kKeptBytes = 1 << 20;

// Kept from document to document, so that a small one allocates nothing; empty-handed while a writer has them.
struct Spare {
  std::vector<Member> members;
  std::string moved;
};

Spare& spare() {
  thread_local Spare spare;
  return spare;
}

}  // namespace

CanonicalWriter::CanonicalWriter(std::string& out, Numbers numbers, CancelFlag cancel, std::size_t expected)
    : out_(out, expected), numbers_(numbers), cancel_(cancel) {
  out_.make_room(0);
  members_.swap(spare().members);
  moved_.swap(spare().moved);
}

CanonicalWriter::~CanonicalWriter() {
  members_.clear();
  if (members_.capacity() * sizeof(Member) <= kKeptBytes) members_.swap(spare().members);
  if (moved_.capacity() <= kKeptBytes) moved_.swap(spare().moved);
}

void CanonicalWriter::refuse(const std::string& what) const {
  std::string path = "$";
  for (int i = 0; i < depth_; ++i) {
    const Frame& frame = frames_[i];
    if (!frame.object) {
      path += "[" + std::to_string(frame.count) + "]";
      continue;
    }
    // The innermost open member of a frame is the last one before the next object's first.
    std::size_t next = members_.size();
    for (int j = depth_; j-- > i + 1;) next = frames_[j].first_member;
    if (next == frame.first_member) continue;
    path += '[';
    Fault ignored;
    append_json_string(members_[next - 1].key, path, ignored);
    path += ']';
  }
  throw Error(ErrorKind::invalid_json, "invalid JSON at " + path + ": " + what);
}

void CanonicalWriter::before_value() {
  if (depth_ > 0 && !top().object && top().count > 0) out_.put(',');
}

void CanonicalWriter::after_value() {
  if (depth_ == 0) {
    out_.close();
    return;
  }
  out_.make_room(0);
  ++top().count;
  if (top().object) members_.back().end = out_.size();
}

void CanonicalWriter::begin(char bracket, bool object) {
  before_value();
  if (depth_ == kMaxDepth) refuse("nested deeper than 128");
  frames_[depth_++] = {object, true, members_.size(), 0};
  out_.put(bracket);
  out_.make_room(0);
}

void CanonicalWriter::begin_object() { begin('{', true); }
void CanonicalWriter::begin_array() { begin('[', false); }

void CanonicalWriter::key(std::string_view utf8) {
  Frame& frame = top();
  if (frame.count > 0) out_.put(',');
  const std::size_t begin = out_.size();
  Fault fault;
  if (!write_json_string(utf8, out_, fault)) refuse(fault.what);
  out_.put(':');
  const Member& member = add_member(members_, utf8, begin, frame.count);
  if (frame.count > 0 && compare_members(members_.end()[-2], member) >= 0) frame.sorted = false;
}

void CanonicalWriter::end_object() {
  const Frame frame = top();
  if (!frame.sorted) {
    Poll poll(cancel_);
    const std::span<Member> members = std::span(members_).subspan(frame.first_member);
    if (const Member* twice = sort_members(members, poll)) {
      std::string what = "the key ";
      Fault ignored;
      append_json_string(twice->key, what, ignored);
      members_.resize(frame.first_member);
      --depth_;
      refuse(what + " stands twice");
    }
    move_members(members, out_.data(), moved_, poll);
  }
  out_.put('}');
  members_.resize(frame.first_member);
  --depth_;
  after_value();
}

void CanonicalWriter::end_array() {
  out_.put(']');
  --depth_;
  after_value();
}

void CanonicalWriter::string(std::string_view utf8) {
  before_value();
  Fault fault;
  if (!write_json_string(utf8, out_, fault)) refuse(fault.what);
  after_value();
}

void CanonicalWriter::number(std::string_view literal) {
  before_value();
  out_.make_room(kSlack);
  const char* const end = literal.data() + literal.size();
  Fault fault;
  const Cursor at =
      literal.empty() ? Cursor{nullptr, nullptr} : write_number({literal.data(), out_.at}, end, numbers_, fault);
  if (at.in == nullptr || at.in != end) refuse(fault.what != nullptr ? fault.what : "not a JSON number");
  out_.at = at.out;
  after_value();
}

void CanonicalWriter::integer(std::int64_t value) {
  before_value();
  out_.at = std::to_chars(out_.at, out_.at + kSlack / 2, value).ptr;
  after_value();
}

void CanonicalWriter::boolean(bool value) { word(value ? "true" : "false"); }

void CanonicalWriter::null() { word("null"); }

void CanonicalWriter::word(std::string_view text) {
  before_value();
  std::memcpy(out_.at, text.data(), text.size());
  out_.at += text.size();
  after_value();
}

}  // namespace sealcast::core
