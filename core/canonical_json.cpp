// Canonicalises JSON text: one pass over the input, which writes canonical bytes while it reads.
#include "core/canonical_json.h"

#include <algorithm>
#include <cstring>

#include "core/error.h"
#include "core/json_number.h"
#include "core/json_string.h"
#include "core/member_order.h"
#include "core/open_container.h"
#include "core/text_canonicalizer.h"

namespace sealcast::core {
namespace {

constexpr std::size_t kMaxKeptBytes = 1 << 20;

class TextCanonicalizer {
 public:
  TextCanonicalizer(std::string_view json, std::string& out, Rules rules, CancelFlag cancel, ParserScratch& scratch)
      : begin_(json.data()),
        end_(json.data() + json.size()),
        next_poll_(begin_ + std::min(json.size(), kPollBytes)),
        out_(out),
        rules_(rules),
        poll_(cancel),
        scratch_(scratch) {}

  // Canonicalises the text. Afterwards scratch_.members contains the members of the root object.
  void run();

 private:
  [[noreturn]] void fail(const char* at, const char* problem) const {
    throw Error(ErrorKind::invalid_json, "invalid JSON at byte " + std::to_string(at - begin_) + ": " + problem);
  }
  // Refuses U+0000 at `at`: names also the path, because a sender looks for a member, not for a byte.
  [[noreturn]] void fail_nul(const char* at) const;
  [[noreturn]] void fail_unexpected(const char* at, const char* expected) const {
    fail(at, at == end_ ? "unexpected end of text" : expected);
  }

  // Makes room in out_ for the rest of the input. Only numbers need this call, because only a number can be longer in
  // canonical form than in the input.
  InOut make_room(InOut at);
  // Fast path: most texts have at most one space between tokens.
  const char* skip_space(const char* p) {
    if (p != end_ && *p == ' ') ++p;
    if (p != end_ && static_cast<unsigned char>(*p) > ' ') return p;
    return skip_more_space(p);
  }
  const char* skip_more_space(const char* p);
  void poll(const char* p);

  InOut value(InOut at);
  InOut string(InOut at);
  InOut escape(InOut at);
  unsigned code_unit(const char* p) const;
  InOut literal(InOut at, std::string_view text);
  InOut key(InOut at);
  InOut close(InOut at);

  const char* const begin_;
  const char* const end_;
  const char* next_poll_;
  std::string& out_;
  char* limit_ = nullptr;
  const Rules rules_;
  bool escaped_ = false;  // the last string contained an escape
  bool in_key_ = false;
  Poll poll_;
  ParserScratch& scratch_;
  OpenContainer containers_[max_depth(Rules::envelope)];
  int depth_ = 0;
};

void TextCanonicalizer::fail_nul(const char* at) const {
  // The key is not a member yet, so the path ends with the object.
  const std::size_t depth = static_cast<std::size_t>(depth_);
  std::span<const Member> members = scratch_.members;
  if (in_key_) members = members.first(containers_[depth - 1].first_member);
  const std::string path = path_of(std::span(containers_, depth), members);
  const std::string problem = path + ": " + (in_key_ ? kNulInKey : kNulInString);
  fail(at, problem.c_str());
}

InOut TextCanonicalizer::make_room(InOut at) {
  const auto need = static_cast<std::size_t>(end_ - at.in) + 2 * kSlack;
  if (static_cast<std::size_t>(limit_ - at.out) >= need) return at;
  const auto written = static_cast<std::size_t>(at.out - out_.data());
  out_.resize(written + written / 2 + need);
  limit_ = out_.data() + out_.size();
  at.out = out_.data() + written;
  return at;
}

void TextCanonicalizer::poll(const char* p) {
  next_poll_ = p + std::min(static_cast<std::size_t>(end_ - p), kPollBytes);
  poll_.check();
}

const char* TextCanonicalizer::skip_more_space(const char* p) {
  while (p < end_ && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t')) {
    ++p;
    if (p >= next_poll_ && p < end_) poll(p);
  }
  return p;
}

InOut TextCanonicalizer::literal(InOut at, std::string_view text) {
  if (!std::string_view(at.in, static_cast<std::size_t>(end_ - at.in)).starts_with(text)) {
    fail(at.in, "expected true, false or null");
  }
  std::memcpy(at.out, text.data(), text.size());
  return {at.in + text.size(), at.out + text.size()};
}

unsigned TextCanonicalizer::code_unit(const char* p) const {
  unsigned unit = 0;
  for (int i = 0; i < 4; ++i, ++p) {
    if (p == end_) fail(p, "unexpected end of text");
    const char c = *p;
    unsigned digit;
    if (c >= '0' && c <= '9') {
      digit = static_cast<unsigned>(c - '0');
    } else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f') {
      digit = static_cast<unsigned>((c | 0x20) - 'a' + 10);
    } else {
      fail(p, "expected four hex digits after \\u");
    }
    unit = unit << 4 | digit;
  }
  return unit;
}

InOut TextCanonicalizer::escape(InOut at) {
  escaped_ = true;
  const char* const start = at.in++;
  if (at.in == end_) fail(at.in, "unexpected end of text");
  char c = *at.in++;
  switch (c) {
    case '"':
    case '\\':
    case '/':
      break;
    case 'b':
      c = '\b';
      break;
    case 't':
      c = '\t';
      break;
    case 'n':
      c = '\n';
      break;
    case 'f':
      c = '\f';
      break;
    case 'r':
      c = '\r';
      break;
    case 'u': {
      unsigned code_point = code_unit(at.in);
      at.in += 4;
      if (code_point == 0 && rules_ != Rules::rfc8785) fail_nul(start);
      if (code_point < 0x80) return {at.in, write_ascii(static_cast<unsigned char>(code_point), at.out)};
      if (code_point >= 0xDC00 && code_point <= 0xDFFF) fail(start, "lone surrogate");
      if (code_point >= 0xD800 && code_point <= 0xDBFF) {
        if (end_ - at.in < 2 || at.in[0] != '\\' || at.in[1] != 'u') fail(start, "lone surrogate");
        const unsigned low = code_unit(at.in + 2);
        if (low < 0xDC00 || low > 0xDFFF) fail(start, "lone surrogate");
        code_point = 0x10000 + ((code_point - 0xD800) << 10) + (low - 0xDC00);
        at.in += 6;
      }
      return {at.in, write_multibyte(code_point, at.out)};
    }
    default:
      fail(start, "invalid escape");
  }
  return {at.in, write_ascii(static_cast<unsigned char>(c), at.out)};
}

// Copies a string with both quotes.
InOut TextCanonicalizer::string(InOut at) {
  *at.out++ = *at.in++;
  while (true) {
    at = copy_plain(at, next_poll_);
    if (at.in >= next_poll_) {
      if (at.in == end_) fail(at.in, "unterminated string");
      poll(at.in);
      continue;
    }
    const auto c = static_cast<unsigned char>(*at.in);
    if (c == '"') {
      *at.out++ = *at.in++;
      return at;
    }
    if (c == '\\') {
      at = escape(at);
    } else if (c < 0x20) {
      fail(at.in, "unescaped control character");
    } else {
      // Stops at next_poll_, where the cancel flag must be checked, or at most one character later.
      at = copy_multibyte(at, end_, next_poll_);
      if (at.out == nullptr) fail(at.in, "invalid UTF-8");
    }
  }
}

// Copies a key with its quotes and its colon. Adds the member to scratch_.members.
InOut TextCanonicalizer::key(InOut at) {
  if (at.in == end_ || *at.in != '"') fail_unexpected(at.in, "expected a key in double quotes");
  const char* const source = at.in;
  const char* const written = at.out;
  escaped_ = false;
  in_key_ = true;
  at = string(at);
  in_key_ = false;
  std::string_view key(source + 1, static_cast<std::size_t>(at.in - source) - 2);
  if (escaped_) [[unlikely]] {
    std::string& keys = scratch_.keys;
    // The first key with an escape reserves the maximum size, so that views of earlier keys in `keys` stay valid.
    if (keys.empty()) keys.reserve(static_cast<std::size_t>(end_ - begin_));
    const std::size_t size = keys.size();
    append_unescaped({written + 1, static_cast<std::size_t>(at.out - written) - 2}, keys);
    key = std::string_view(keys).substr(size);
  }
  OpenContainer& frame = containers_[depth_ - 1];
  std::vector<Member>& members = scratch_.members;
  const Member& member = add_member(members, key, static_cast<std::size_t>(written - out_.data()),
                                    static_cast<std::size_t>(source - begin_));
  if (members.size() - 1 > frame.first_member) {
    const std::strong_ordering order = compare_members(members.end()[-2], member);
    if (order == 0) fail(source, "duplicate key");
    if (order > 0) frame.sorted = false;
  }
  at.in = skip_space(at.in);
  if (at.in == end_ || *at.in != ':') fail_unexpected(at.in, "expected a colon after a key");
  *at.out++ = ':';
  at.in = skip_space(at.in + 1);
  return at;
}

// Copies the closing bracket of the innermost container. Sorts its members if it is an object with unsorted keys.
InOut TextCanonicalizer::close(InOut at) {
  *at.out++ = *at.in++;
  const OpenContainer& frame = containers_[--depth_];
  if (!frame.object) return at;
  if (!frame.sorted) {
    const std::span<Member> members = std::span(scratch_.members).subspan(frame.first_member);
    if (const Member* duplicate = sort_members(members, poll_)) {
      fail(begin_ + duplicate->source, "duplicate key");
    }
    move_members(members, out_.data(), scratch_.moved, poll_);
  }
  if (depth_ > 0) scratch_.members.resize(frame.first_member);
  return at;
}

// Copies a scalar: a string, a number, true, false or null.
InOut TextCanonicalizer::value(InOut at) {
  if (at.in == end_) fail(at.in, "unexpected end of text");
  switch (*at.in) {
    case '"':
      return string(at);
    case 't':
      return literal(at, "true");
    case 'f':
      return literal(at, "false");
    case 'n':
      return literal(at, "null");
    case '-':
    case '0':
    case '1':
    case '2':
    case '3':
    case '4':
    case '5':
    case '6':
    case '7':
    case '8':
    case '9': {
      Fault fault;
      at = write_number(make_room(at), end_, rules_, fault);
      if (at.in == nullptr) fail(fault.at, fault.problem);
      return at;
    }
    default:
      fail(at.in, "expected a value");
  }
}

void TextCanonicalizer::run() {
  InOut at{begin_, nullptr};
  const std::size_t start = out_.size();
  out_.resize(start + static_cast<std::size_t>(end_ - begin_) + 2 * kSlack);
  limit_ = out_.data() + out_.size();
  at.out = out_.data() + start;

  at.in = skip_space(at.in);
  while (true) {
    // Opens containers until a value is complete: a scalar or an empty container.
    if (at.in < end_ && (*at.in == '{' || *at.in == '[')) {
      if (depth_ == max_depth(rules_)) fail(at.in, "nesting is deeper than 128 levels");
      const bool object = *at.in == '{';
      containers_[depth_++] = {object, true, scratch_.members.size(), 0};
      *at.out++ = *at.in++;
      at.in = skip_space(at.in);
      if (at.in == end_ || *at.in != (object ? '}' : ']')) {
        if (object) at = key(at);
        continue;
      }
      at = close(at);
    } else {
      at = value(at);
    }
    // Closes containers until another value must follow.
    while (true) {
      at.in = skip_space(at.in);
      if (at.in >= next_poll_ && at.in < end_) poll(at.in);
      if (depth_ == 0) {
        if (at.in != end_) fail(at.in, "unexpected text after the document");
        out_.resize(static_cast<std::size_t>(at.out - out_.data()));
        return;
      }
      const bool object = containers_[depth_ - 1].object;
      if (object) scratch_.members.back().end = static_cast<std::size_t>(at.out - out_.data());
      if (at.in == end_) fail(at.in, "unexpected end of text");
      if (*at.in == ',') {
        ++containers_[depth_ - 1].count;
        *at.out++ = *at.in++;
        at.in = skip_space(at.in);
        if (object) at = key(at);
        break;
      }
      if (*at.in != (object ? '}' : ']')) fail(at.in, object ? "expected a comma or }" : "expected a comma or ]");
      at = close(at);
    }
  }
}

}  // namespace

ThreadScratch::ThreadScratch()
    : scratch_([]() -> ParserScratch& {
        thread_local ParserScratch scratch;
        return scratch;
      }()) {}

ThreadScratch::~ThreadScratch() {
  const auto reset = [](auto& buffer, std::size_t element_bytes) {
    buffer.clear();
    if (buffer.capacity() * element_bytes > kMaxKeptBytes) buffer.shrink_to_fit();
  };
  reset(scratch_.members, sizeof(Member));
  reset(scratch_.keys, 1);
  reset(scratch_.moved, 1);
}

std::span<Member> canonicalize_members(std::string_view json, std::string& out, Rules rules, CancelFlag cancel,
                                       ParserScratch& scratch, bool& is_object) {
  const std::size_t start = out.size();
  try {
    TextCanonicalizer(json, out, rules, cancel, scratch).run();
  } catch (...) {
    out.resize(start);
    throw;
  }
  is_object = out[start] == '{';
  return scratch.members;
}

void canonicalize(std::string_view json, std::string& out, Rules rules, CancelFlag cancel) {
  ThreadScratch scratch;
  bool is_object;
  canonicalize_members(json, out, rules, cancel, *scratch, is_object);
}

}  // namespace sealcast::core
