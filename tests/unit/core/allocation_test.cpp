// Counts allocations: sealing a small message needs no allocation after the buffers of the thread have grown.
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdlib>
#include <new>
#include <string>
#include <vector>

#include "core/canonical_json.h"
#include "core/envelope.h"
#include "core/payload.h"

// The sanitizers replace the allocator, so this test cannot replace it too.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

namespace {
std::size_t allocations = 0;
}

void* operator new(std::size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace sealcast::core {
namespace {

TEST(AllocationTest, SealingASmallMessageNeedsNoAllocation) {
  const std::string json =
      R"({"type":"chat","content":"so\n\u00e9","\u0062":[1,{"z":2,"a":3.5e-7}],"a":"\ud83d\ude00"})";
  const std::vector<ServerField> fields = {{"user_role", "mod"}};
  const Fields signed_fields = {"chat", "stream", "sender", "txn", 1'700'000'000'000};
  const Key key("k1", std::string(32, 's'));
  Payload payload;
  std::string signing;
  std::string envelope;
  const auto seal = [&] {
    envelope.clear();
    prepare_payload(json, fields, payload);
    append_envelope(signed_fields, "k1", payload.canonical,
                    sign_payload(signed_fields, payload.canonical, key, signing).bytes(), envelope);
  };
  seal();
  const std::string first = envelope;
  const std::size_t before = allocations;
  for (int i = 0; i < 10; ++i) seal();
  EXPECT_EQ(allocations, before);
  EXPECT_EQ(envelope, first);
}

TEST(AllocationTest, WritingASmallDocumentNeedsNoAllocation) {
  std::string out;
  const auto write = [&out] {
    out.clear();
    CanonicalWriter writer(out);
    writer.begin_object();
    for (const char* key : {"c", "a", "b"}) {
      writer.key(key);
      writer.begin_array();
      writer.string("so\n");
      writer.number("3.5e-7");
      writer.integer(42);
      writer.null();
      writer.end_array();
    }
    writer.end_object();
  };
  write();
  const std::size_t before = allocations;
  for (int i = 0; i < 10; ++i) write();
  EXPECT_EQ(allocations, before);
}

TEST(AllocationTest, ASigningStringNeedsNoAllocation) {
  const Fields fields = {"chat", "stream", "sender", "txn", 1'700'000'000'000};
  std::string out;
  append_signing_string(fields, std::string_view("hash"), out);
  const std::size_t before = allocations;
  out.clear();
  append_signing_string(fields, std::string_view("hash"), out);
  EXPECT_EQ(allocations, before);
}

}  // namespace
}  // namespace sealcast::core

#endif
