// Canonicalises JSON text and returns the members of the root object, for envelopes, payloads and claims.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/canonical_json.h"
#include "core/member_order.h"

namespace sealcast::core {

// The buffers of one canonicalization. They are kept between calls, so that a small message needs no allocation.
struct ParserScratch {
  std::vector<Member> members;
  std::string keys;   // decoded keys that had escapes
  std::string moved;  // buffer for move_members()
};

// Gives access to the ParserScratch of this thread. The destructor empties the buffers, and frees each buffer that is
// larger than 1 MiB. Only one ThreadScratch may exist per thread at a time.
class ThreadScratch {
 public:
  ThreadScratch();
  ~ThreadScratch();
  ThreadScratch(const ThreadScratch&) = delete;
  ThreadScratch& operator=(const ThreadScratch&) = delete;
  ParserScratch& operator*() const { return scratch_; }

 private:
  ParserScratch& scratch_;
};

// Does the same as canonicalize(), and returns the members of the root object in canonical order, with their ranges in
// `out`. `scratch` must be empty. The members are valid as long as the content of `scratch` and `json`. Sets
// `is_object` to true if the root is an object; otherwise there are no members.
std::span<Member> canonicalize_members(std::string_view json, std::string& out, Rules rules, CancelFlag cancel,
                                       ParserScratch& scratch, bool& is_object);

}  // namespace sealcast::core
