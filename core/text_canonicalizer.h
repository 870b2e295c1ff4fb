// Canonicalizing JSON text with the root's members at hand, for the envelope and the payload. Internal to core.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/canonical_json.h"
#include "core/member_order.h"

namespace sealcast::core {

// Working memory of one canonicalization, kept from call to call so that a small message allocates nothing.
struct ParserScratch {
  std::vector<Member> members;
  std::string keys;   // keys that were written with escapes, decoded
  std::string moved;  // members on their way into order
};

// This thread's scratch for as long as the lease lives; afterwards empty, and given back where it grew large.
class ScratchLease {
 public:
  ScratchLease();
  ~ScratchLease();
  ScratchLease(const ScratchLease&) = delete;
  ScratchLease& operator=(const ScratchLease&) = delete;
  ParserScratch& operator*() const { return scratch_; }

 private:
  ParserScratch& scratch_;
};

// As canonicalize(). Returns the members of the root object in canonical order, with positions in `out`; they live in
// `scratch` and in `json`. False in `is_object` when the root is something else.
std::span<Member> canonicalize_members(std::string_view json, std::string& out, Numbers numbers, CancelFlag cancel,
                                       ParserScratch& scratch, bool& is_object);

}  // namespace sealcast::core
