// Tests which texts are accepted as a UUID, and the conversion to lower case.
#include "core/uuid.h"

#include <gtest/gtest.h>

namespace sealcast::core {
namespace {

TEST(Uuid, AUuidBecomesLowerCase) {
  std::string out;
  EXPECT_TRUE(normalize_uuid("F47AC10B-58cc-4372-A567-0E02B2C3D479", out));
  EXPECT_EQ(out, "f47ac10b-58cc-4372-a567-0e02b2c3d479");
  EXPECT_TRUE(normalize_uuid(kNilUuid, out));
  EXPECT_EQ(out, kNilUuid);
}

TEST(Uuid, EachOtherFormIsRefused) {
  std::string out = "kept";
  for (const char* text : {"", "f47ac10b58cc4372a5670e02b2c3d479", "{f47ac10b-58cc-4372-a567-0e02b2c3d479}",
                           "f47ac10b-58cc-4372-a567-0e02b2c3d47", "f47ac10b-58cc-4372-a567-0e02b2c3d4790",
                           "g47ac10b-58cc-4372-a567-0e02b2c3d479", "f47ac10b-58cc-4372-a567-0e02b2c3d47-",
                           "f47ac10b-58cc-4372-a56-70e02b2c3d479", " 47ac10b-58cc-4372-a567-0e02b2c3d479",
                           "f47ac10b_58cc-4372-a567-0e02b2c3d479", "F47AC10@-58cc-4372-a567-0e02b2c3d479"}) {
    EXPECT_FALSE(normalize_uuid(text, out)) << text;
  }
  EXPECT_EQ(out, "kept");
}

}  // namespace
}  // namespace sealcast::core
