// Canonical JSON, RFC 8785 (JCS): one document, one byte string.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/open_end.h"

namespace sealcast::core {

// Arrays and objects inside one another; the 129th is an error.
inline constexpr int kMaxDepth = 128;

// A flag that a signal handler may raise; polled every 64 KiB of input. May be null.
using CancelFlag = const volatile int*;

enum class Numbers {
  rounded,  // RFC 8785: every number becomes the nearest double
  exact,    // refuse a number whose exact decimal value is not that of its canonical literal
};

// Appends the canonical form of one JSON text (RFC 8259, UTF-8) to `out`.
// Throws Error{invalid_json} naming the byte offset, counted from 0: syntax, duplicate keys, lone surrogates, numbers
// beyond a double, invalid UTF-8, nesting beyond kMaxDepth; with Numbers::exact also numbers that a double cannot hold.
// Time O(n log n) in the input for any input.
void canonicalize(std::string_view json, std::string& out, Numbers numbers = Numbers::rounded,
                  CancelFlag cancel = nullptr);

// Appends the canonical literal of `value` (ECMAScript Number::toString; RFC 8785 §3.2.2.3). -0 becomes 0.
// Throws Error{invalid_json} for NaN and infinities.
void append_number(double value, std::string& out);

// One written member of an object that is still open.
struct Member {
  std::string_view key;      // decoded UTF-8
  std::uint64_t prefix = 0;  // key_prefix(key)
  std::size_t begin = 0;     // where "key":value stands in the output
  std::size_t end = 0;
  std::size_t source = 0;  // where the key stands in the input, or its ordinal where there is no text
};

// Writes canonical JSON from events, for documents that are not text (the jsonb walk). Keys may come in any order, at
// the least cost in canonical order. `out` is whole once the outermost value ends.
// Every part throws Error{invalid_json} naming the path ($["a"][2]) for what canonicalize() refuses in text.
class CanonicalWriter {
 public:
  // `expected` is about how long the document will be.
  explicit CanonicalWriter(std::string& out, Numbers numbers = Numbers::rounded, CancelFlag cancel = nullptr,
                           std::size_t expected = 0);
  ~CanonicalWriter();
  CanonicalWriter(const CanonicalWriter&) = delete;
  CanonicalWriter& operator=(const CanonicalWriter&) = delete;

  void begin_object();
  void key(std::string_view utf8);  // followed by exactly one value; its bytes must outlive end_object()
  void end_object();                // throws Error{invalid_json} if a key stood twice
  void begin_array();
  void end_array();
  void string(std::string_view utf8);
  void number(std::string_view literal);  // a decimal literal such as numeric_out prints
  void integer(std::int64_t value);       // of at most 15 digits
  void boolean(bool value);
  void null();

 private:
  struct Frame {
    bool object;
    bool sorted;
    std::size_t first_member;
    std::size_t count;  // values so far
  };
  Frame& top() { return frames_[depth_ - 1]; }
  void before_value();
  void after_value();
  void begin(char bracket, bool object);
  void word(std::string_view text);
  [[noreturn]] void refuse(const std::string& what) const;  // names the path

  OpenEnd out_;  // always with kSlack of room
  const Numbers numbers_;
  const CancelFlag cancel_;  // polled while members are sorted
  int depth_ = 0;
  Frame frames_[kMaxDepth];
  std::vector<Member> members_;
  std::string moved_;  // members on their way into order
};

}  // namespace sealcast::core
