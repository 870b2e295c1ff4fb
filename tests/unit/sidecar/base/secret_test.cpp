// Tests secrets that are replaced while the process runs.
#include "base/secret.h"

#include <gtest/gtest.h>

#include "core/settings_error.h"
#include "support/scratch.h"

namespace sealcast {
namespace {

class Log {
 public:
  Log() { testing::internal::CaptureStderr(); }
  ~Log() {
    if (!taken_) testing::internal::GetCapturedStderr();
  }
  std::string take() {
    taken_ = true;
    return testing::internal::GetCapturedStderr();
  }

 private:
  bool taken_ = false;
};

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (auto at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++found;
  return found;
}

TEST(SecretTest, OnlyARefusalReadsTheFileAgain) {
  test::Scratch scratch;
  const Secret secret("some.password_file", scratch.write("password", "first\n"));
  const Secret copy = secret;
  scratch.write("password", "second\n");
  EXPECT_EQ(secret.text(), "first");
  Log log;
  secret.read_again("first");
  secret.read_again("first");  // of a second connection, which sent the old secret
  EXPECT_EQ(copy.text(), "second");
  scratch.write("password", "third");
  secret.read_again("first");
  EXPECT_EQ(copy.text(), "second") << "this refusal is older than the second secret";
  copy.read_again("second");
  EXPECT_EQ(secret.text(), "third");
  secret.read_again("third");
  const std::string lines = log.take();
  EXPECT_EQ(count(lines, "a secret file was read again"), 2u) << lines;
  EXPECT_EQ(count(lines, "some.password_file"), 2u) << lines;
  EXPECT_EQ(count(lines, "second") + count(lines, "third"), 0u) << lines;
}

TEST(SecretTest, AFileThatCannotBeReadKeepsTheLastSecretAndIsLoggedOnce) {
  test::Scratch scratch;
  const Secret secret("some.password_file", scratch.write("password", "first"));
  scratch.write("password", "");
  Log log;
  for (int i = 0; i < 3; ++i) secret.read_again("first");
  EXPECT_EQ(secret.text(), "first");
  const std::string lines = log.take();
  EXPECT_EQ(count(lines, "the last secret stays in use"), 1u) << lines;
  EXPECT_EQ(count(lines, "is empty; write the secret to the file"), 1u) << lines;
  scratch.write("password", "second");
  secret.read_again("first");
  EXPECT_EQ(secret.text(), "second");
}

TEST(SecretTest, ASecretWithoutAFileStays) {
  const Secret none, fixed(std::string("text"));
  none.read_again("");
  fixed.read_again("text");
  EXPECT_TRUE(none.empty());
  EXPECT_EQ(fixed.text(), "text");
  EXPECT_THROW(Secret("some.password_file", "/nowhere/x"), core::SettingsError);
}

}  // namespace
}  // namespace sealcast
