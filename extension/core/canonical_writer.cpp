// The event path: the same strings, numbers and member order as the text path, from a caller's walk.
#include <span>

#include "canonical_json.h"
#include "error.h"
#include "json_number.h"
#include "json_string.h"
#include "member_order.h"

namespace sealcast {

void CanonicalWriter::refuse(const std::string& what) const {
  std::string path = "$";
  for (std::size_t i = 0; i < frames_.size(); ++i) {
    const Frame& frame = frames_[i];
    if (!frame.object) {
      path += "[" + std::to_string(frame.count) + "]";
      continue;
    }
    // The innermost open member of a frame is the last one before the next object's first.
    std::size_t next = members_.size();
    for (std::size_t j = frames_.size(); j-- > i + 1;) next = frames_[j].first_member;
    if (next == frame.first_member) continue;
    path += '[';
    Fault ignored;
    append_json_string(members_[next - 1].key, path, ignored);
    path += ']';
  }
  throw Error(ErrorKind::invalid_json, "invalid JSON at " + path + ": " + what);
}

void CanonicalWriter::before_value() {
  if (!frames_.empty() && !frames_.back().object && frames_.back().count > 0) out_ += ',';
}

void CanonicalWriter::after_value() {
  if (frames_.empty()) return;
  ++frames_.back().count;
  if (frames_.back().object) members_.back().end = out_.size();
}

void CanonicalWriter::begin(char bracket, bool object) {
  before_value();
  if (frames_.size() == kMaxDepth) refuse("nested deeper than 128");
  frames_.push_back({object, true, members_.size(), 0});
  out_ += bracket;
}

void CanonicalWriter::begin_object() { begin('{', true); }
void CanonicalWriter::begin_array() { begin('[', false); }

void CanonicalWriter::key(std::string_view utf8) {
  Frame& frame = frames_.back();
  if (frame.count > 0) {
    out_ += ',';
    if (compare_keys(members_.back().key, utf8) >= 0) frame.sorted = false;
  }
  const std::size_t begin = out_.size();
  Fault fault;
  if (!append_json_string(utf8, out_, fault)) refuse(fault.what);
  out_ += ':';
  members_.push_back({utf8, begin, 0, frame.count});
}

void CanonicalWriter::end_object() {
  const Frame frame = frames_.back();
  if (!frame.sorted) {
    Poll poll(cancel_);
    const std::span<Member> members = std::span(members_).subspan(frame.first_member);
    if (const Member* twice = sort_members(members, poll)) {
      std::string what = "the key ";
      Fault ignored;
      append_json_string(twice->key, what, ignored);
      members_.resize(frame.first_member);
      frames_.pop_back();
      refuse(what + " stands twice");
    }
    move_members(members, out_.data(), scratch_, poll);
  }
  out_ += '}';
  members_.resize(frame.first_member);
  frames_.pop_back();
  after_value();
}

void CanonicalWriter::end_array() {
  out_ += ']';
  frames_.pop_back();
  after_value();
}

void CanonicalWriter::string(std::string_view utf8) {
  before_value();
  Fault fault;
  if (!append_json_string(utf8, out_, fault)) refuse(fault.what);
  after_value();
}

void CanonicalWriter::number(std::string_view literal) {
  before_value();
  char text[kSlack];
  const char* const end = literal.data() + literal.size();
  Fault fault;
  const Cursor at =
      literal.empty() ? Cursor{nullptr, nullptr} : write_number({literal.data(), text}, end, numbers_, fault);
  if (at.in == nullptr || at.in != end) refuse(fault.what != nullptr ? fault.what : "not a JSON number");
  out_.append(text, at.out);
  after_value();
}

void CanonicalWriter::boolean(bool value) {
  before_value();
  out_ += value ? "true" : "false";
  after_value();
}

void CanonicalWriter::null() {
  before_value();
  out_ += "null";
  after_value();
}

}  // namespace sealcast
