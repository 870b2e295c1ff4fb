// Canonical JSON (RFC 8785, JCS): exactly one byte string for each JSON value.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/output_buffer.h"

namespace sealcast::core {

// Maximum nesting of arrays and objects in a document; level 129 is an error. The envelope around a payload does not
// count: see max_depth().
inline constexpr int kMaxDepth = 128;

// A signal handler may set this flag to a value other than 0 to interrupt a canonicalization. canonicalize() checks the
// flag after each 64 KiB of input. Sorting checks the flag after each 64 KiB of compared or moved bytes. A null pointer
// means that there is no flag.
using CancelFlag = const volatile int*;

// What a document may contain.
enum class Rules {
  rfc8785,   // every number becomes the nearest double, as RFC 8785 says
  claims,    // as rfc8785, but refuses what jsonb refuses: U+0000, and a number other than 0 that would become 0
  payload,   // what can be sealed: refuses a number whose canonical literal has another decimal value, and U+0000,
             // which PostgreSQL's text cannot hold
  envelope,  // the rules of a payload, with one level more, so that everything that was sealed verifies
};

constexpr int max_depth(Rules rules) { return rules == Rules::envelope ? kMaxDepth + 1 : kMaxDepth; }

// Appends the canonical form of one JSON text (RFC 8259, UTF-8) to `out`. Takes O(n log n) time for any input. Throws
// Error{invalid_json}, whose message names the byte offset (from 0), for: syntax errors, duplicate keys, lone
// surrogates, numbers beyond a double, invalid UTF-8, nesting beyond max_depth(rules), and what `rules` refuses. For
// U+0000 the message also names the path. Throws Error{interrupted} if `cancel` is set. After an error `out` is unchanged.
void canonicalize(std::string_view json, std::string& out, Rules rules = Rules::rfc8785,
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

// An array or object that has begun and not ended.
struct OpenContainer {
  bool object;
  bool sorted;               // the keys so far are in canonical order
  std::size_t first_member;  // index of its first member in the list of the members of all open objects
  std::size_t count;         // complete values so far
};

// Writes canonical JSON for documents that are not text, such as jsonb. The caller calls one function for each bracket,
// key and scalar of the document. Keys may come in any order; canonical order is the fastest. `out` must stay valid as
// long as the writer, and is complete when the outermost value ends. Each function throws Error{invalid_json} for the
// same faults as canonicalize(). The message names the path, for example $["a"][2]. end_object() also throws
// Error{interrupted}. After an error the content of `out` is unspecified.
class CanonicalWriter {
 public:
  // `expected_size`: estimated length of the document in bytes.
  explicit CanonicalWriter(std::string& out, Rules rules = Rules::rfc8785, CancelFlag cancel = nullptr,
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
  OpenContainer& top() { return containers_[depth_ - 1]; }
  void before_value();
  void after_value();
  void begin(char bracket, bool object);
  void write_literal(std::string_view text);
  [[noreturn]] void fail(const std::string& problem) const;  // throws Error{invalid_json}, which names the path

  OutputBuffer out_;  // always has kSlack bytes of room
  const Rules rules_;
  const CancelFlag cancel_;  // checked only while members are sorted and moved
  int depth_ = 0;
  OpenContainer containers_[max_depth(Rules::envelope)];
  std::vector<Member> members_;
  std::string moved_;  // buffer for move_members()
};

}  // namespace sealcast::core
