// Canonical JSON (RFC 8785, JCS): exactly one byte string for each JSON value.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/output_buffer.h"

namespace sealcast::core {

// Maximum nesting of arrays and objects; level 129 is an error.
inline constexpr int kMaxDepth = 128;

// A signal handler may set this flag to a value other than 0 to interrupt a canonicalization. canonicalize() checks the
// flag after each 64 KiB of input. Sorting checks the flag after each 64 KiB of compared or moved bytes. A null pointer
// means that there is no flag.
using CancelFlag = const volatile int*;

enum class Numbers {
  rounded,  // RFC 8785: every number becomes the nearest double
  exact,    // a number is refused if its canonical literal would have another decimal value
};

// Appends the canonical form of one JSON text (RFC 8259, UTF-8) to `out`. Takes O(n log n) time for any input. Throws
// Error{invalid_json}, whose message names the byte offset (from 0), for: syntax errors, duplicate keys, lone
// surrogates, numbers beyond a double, invalid UTF-8, nesting beyond kMaxDepth, and (with Numbers::exact) numbers that
// are not exact. Throws Error{interrupted} if `cancel` is set. After an error `out` is unchanged.
void canonicalize(std::string_view json, std::string& out, Numbers numbers = Numbers::rounded,
                  CancelFlag cancel = nullptr);

// Appends the canonical literal of `value` (ECMAScript Number::toString; RFC 8785 §3.2.2.3). -0 becomes 0.
// Throws Error{invalid_json} for NaN and infinities.
void append_number(double value, std::string& out);

// Describes one member of an object: its key and the place of its text in the output.
struct Member {
  std::string_view key;      // decoded UTF-8
  std::uint64_t prefix = 0;  // key_prefix(key)
  std::size_t begin = 0;     // "key":value is the range [begin, end) of the output
  std::size_t end = 0;
  std::size_t source = 0;  // offset of the key in the input text; CanonicalWriter: index of the member
};

// Writes canonical JSON for documents that are not text, such as jsonb. The caller calls one function for each bracket,
// key and scalar of the document. Keys may come in any order; canonical order is the fastest. `out` must stay valid as
// long as the writer, and is complete when the outermost value ends. Each function throws Error{invalid_json} for the
// same faults as canonicalize(). The message names the path, for example $["a"][2]. end_object() also throws
// Error{interrupted}. After an error the content of `out` is unspecified.
class CanonicalWriter {
 public:
  // `expected_size`: estimated length of the document in bytes.
  explicit CanonicalWriter(std::string& out, Numbers numbers = Numbers::rounded, CancelFlag cancel = nullptr,
                           std::size_t expected_size = 0);
  ~CanonicalWriter();
  CanonicalWriter(const CanonicalWriter&) = delete;
  CanonicalWriter& operator=(const CanonicalWriter&) = delete;

  void begin_object();
  void key(std::string_view utf8);  // exactly one value must follow; `utf8` must stay valid until end_object()
  void end_object();                // throws Error{invalid_json} for a duplicate key
  void begin_array();
  void end_array();
  void string(std::string_view utf8);
  void number(std::string_view literal);  // a decimal literal, as PostgreSQL's numeric_out() prints it
  void integer(std::int64_t value);       // at most 15 digits, so that a double holds it exactly
  void boolean(bool value);
  void null();

 private:
  struct Container {
    bool object;
    bool sorted;
    std::size_t first_member;
    std::size_t count;  // complete values so far
  };
  Container& top() { return containers_[depth_ - 1]; }
  void before_value();
  void after_value();
  void begin(char bracket, bool object);
  void write_literal(std::string_view text);
  [[noreturn]] void fail(const std::string& problem) const;  // throws Error{invalid_json}, which names the path

  OutputBuffer out_;  // always has kSlack bytes of room
  const Numbers numbers_;
  const CancelFlag cancel_;  // checked only while members are sorted and moved
  int depth_ = 0;
  Container containers_[kMaxDepth];
  std::vector<Member> members_;
  std::string moved_;  // buffer for move_members()
};

}  // namespace sealcast::core
