// Implements CanonicalWriter. Strings, numbers and the order of members use the same code as in canonical_json.cpp.
#include <charconv>
#include <cstdint>
#include <cstring>
#include <span>

#include "core/canonical_json.h"
#include "core/error.h"
#include "core/json_number.h"
#include "core/json_string.h"
#include "core/member_order.h"
#include "core/open_container.h"

namespace sealcast::core {

namespace {

constexpr std::size_t kMaxKeptBytes = 1 << 20;

bool contains_nul(std::string_view utf8) { return utf8.find('\0') != std::string_view::npos; }

// Buffers that a thread keeps between documents, so that a small document needs no allocation. The constructor of
// CanonicalWriter takes them; the destructor puts them back unless they are larger than kMaxKeptBytes.
struct KeptBuffers {
  std::vector<Member> members;
  std::string moved;
};

KeptBuffers& kept_buffers() {
  thread_local KeptBuffers buffers;
  return buffers;
}

}  // namespace

CanonicalWriter::CanonicalWriter(std::string& out, Rules rules, CancelFlag cancel, std::size_t expected_size)
    : out_(out, expected_size), rules_(rules), cancel_(cancel) {
  out_.make_room(0);
  members_.swap(kept_buffers().members);
  moved_.swap(kept_buffers().moved);
}

CanonicalWriter::~CanonicalWriter() {
  members_.clear();
  if (members_.capacity() * sizeof(Member) <= kMaxKeptBytes) members_.swap(kept_buffers().members);
  if (moved_.capacity() <= kMaxKeptBytes) moved_.swap(kept_buffers().moved);
}

void CanonicalWriter::fail(const std::string& problem) const {
  const std::span<const OpenContainer> open(containers_, static_cast<std::size_t>(depth_));
  throw Error(ErrorKind::invalid_json, "invalid JSON at " + path_of(open, members_) + ": " + problem);
}

void CanonicalWriter::before_value() {
  if (depth_ > 0 && !top().object && top().count > 0) out_.put(',');
}

void CanonicalWriter::after_value() {
  if (depth_ == 0) {
    out_.finish();
    return;
  }
  out_.make_room(0);
  ++top().count;
  if (top().object) members_.back().end = out_.size();
}

void CanonicalWriter::begin(char bracket, bool object) {
  before_value();
  if (depth_ == max_depth(rules_)) fail("nesting is deeper than 128 levels");
  containers_[depth_++] = {object, true, members_.size(), 0};
  out_.put(bracket);
  out_.make_room(0);
}

void CanonicalWriter::begin_object() { begin('{', true); }
void CanonicalWriter::begin_array() { begin('[', false); }

void CanonicalWriter::key(std::string_view utf8) {
  OpenContainer& container = top();
  if (container.count > 0) out_.put(',');
  if (rules_ != Rules::rfc8785 && contains_nul(utf8)) fail(kNulInKey);
  const std::size_t begin = out_.size();
  Fault fault;
  if (!write_json_string(utf8, out_, fault)) fail(fault.problem);
  out_.put(':');
  const Member& member = add_member(members_, utf8, begin, container.count);
  if (container.count > 0 && compare_members(members_.end()[-2], member) >= 0) container.sorted = false;
}

void CanonicalWriter::end_object() {
  const OpenContainer container = top();
  if (!container.sorted) {
    Poll poll(cancel_);
    const std::span<Member> members = std::span(members_).subspan(container.first_member);
    if (const Member* duplicate = sort_members(members, poll)) {
      std::string problem = "duplicate key ";
      Fault ignored;
      append_json_string(duplicate->key, problem, ignored);
      members_.resize(container.first_member);
      --depth_;
      fail(problem);
    }
    move_members(members, out_.data(), moved_, poll);
  }
  out_.put('}');
  members_.resize(container.first_member);
  --depth_;
  after_value();
}

void CanonicalWriter::end_array() {
  out_.put(']');
  --depth_;
  after_value();
}

void CanonicalWriter::string(std::string_view utf8) {
  if (rules_ != Rules::rfc8785 && contains_nul(utf8)) fail(kNulInString);
  before_value();
  Fault fault;
  if (!write_json_string(utf8, out_, fault)) fail(fault.problem);
  after_value();
}

void CanonicalWriter::number(std::string_view literal) {
  before_value();
  out_.make_room(kSlack);
  const char* const end = literal.data() + literal.size();
  Fault fault;
  const InOut at =
      literal.empty() ? InOut{nullptr, nullptr} : write_number({literal.data(), out_.at}, end, rules_, fault);
  if (at.in == nullptr || at.in != end) fail(fault.problem != nullptr ? fault.problem : "not a JSON number");
  out_.at = at.out;
  after_value();
}

void CanonicalWriter::integer(std::int64_t value) {
  before_value();
  out_.at = std::to_chars(out_.at, out_.at + kSlack / 2, value).ptr;
  after_value();
}

void CanonicalWriter::boolean(bool value) { write_literal(value ? "true" : "false"); }

void CanonicalWriter::null() { write_literal("null"); }

void CanonicalWriter::write_literal(std::string_view text) {
  before_value();
  std::memcpy(out_.at, text.data(), text.size());
  out_.at += text.size();
  after_value();
}

}  // namespace sealcast::core
