// Tests that certificates are read, checked, and read again after a change. Handshakes are tested with real servers in
// the tests of the Redis client and of the MQTT adapter.
#include "base/tls.h"

#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include <filesystem>

#include "core/settings_error.h"
#include "support/certificate.h"
#include "support/scratch.h"

namespace sealcast {
namespace {

class TlsTest : public testing::Test {
 protected:
  TlsTest() {
    for (const char* name : {"a", "b"}) {
      test::make_certificate("localhost", scratch_.path(name), scratch_.path(name + std::string(".key")));
    }
  }

  TlsFiles files(const std::string& ca, const std::string& cert, const std::string& key) const {
    const auto path = [this](const std::string& name) { return name.empty() ? name : scratch_.path(name); };
    return {"mqtt.", path(ca), path(cert), path(key)};
  }
  std::string problem(const std::string& ca, const std::string& cert, const std::string& key) const {
    try {
      TlsContexts contexts(files(ca, cert, key));
    } catch (const core::SettingsError& error) {
      return error.what();
    }
    return "none";
  }
  void replace(const std::string& name, const std::string& with) const {
    std::filesystem::copy_file(scratch_.path(with), scratch_.path(name),
                               std::filesystem::copy_options::overwrite_existing);
  }

  test::Scratch scratch_;
};

TEST_F(TlsTest, AFileThatCannotBeUsedIsNamedWithItsSetting) {
  EXPECT_EQ(problem("a", "b", "b.key"), "none");
  EXPECT_EQ(problem("", "", ""), "none");
  EXPECT_EQ(problem("a.key", "b", "b.key").find("mqtt.ca_file: \"" + scratch_.path("a.key")), 0u);
  EXPECT_EQ(problem("a", "b.key", "b.key").find("mqtt.cert_file: \"" + scratch_.path("b.key")), 0u);
  const std::string other_key = problem("a", "b", "a.key");
  EXPECT_EQ(other_key.find("mqtt.key_file: \"" + scratch_.path("a.key") + "\" is not the key of mqtt.cert_file"), 0u);
}

// OpenSSL accepts such a key at first.
TEST_F(TlsTest, AKeyOfAnotherAlgorithmIsRefused) {
  ASSERT_EQ(std::system(("openssl genpkey -algorithm ed25519 -out " + scratch_.path("other.key")).c_str()), 0);
  EXPECT_NE(problem("a", "b", "other.key").find("is not the key of mqtt.cert_file"), std::string::npos);
}

TEST_F(TlsTest, AnEncryptedKeyIsRefusedWithoutAPrompt) {
  ASSERT_EQ(std::system(("openssl pkey -aes128 -passout pass:secret -in " + scratch_.path("a.key") + " -out " +
                         scratch_.path("locked"))
                            .c_str()),
            0);
  EXPECT_NE(problem("a", "a", "locked").find("without a passphrase"), std::string::npos);
}

TEST_F(TlsTest, ReplacedFilesAreReadAgainAndUnusableOnesKeepTheLastContext) {
  test::make_certificate("localhost", scratch_.path("own"), scratch_.path("own.key"));
  TlsContexts contexts(files("a", "own", "own.key"));
  const auto first = contexts.context();
  EXPECT_EQ(contexts.context(), first);
  testing::internal::CaptureStderr();
  replace("own", "b");  // its key is replaced later
  EXPECT_EQ(contexts.context(), first);
  EXPECT_EQ(contexts.context(), first);
  replace("own.key", "b.key");
  const auto second = contexts.context();
  EXPECT_NE(second, first);
  replace("a", "b");
  EXPECT_NE(contexts.context(), second);
  const std::string log = testing::internal::GetCapturedStderr();
  const std::size_t refused = log.find("is not the key of mqtt.cert_file");
  EXPECT_NE(refused, std::string::npos) << log;
  EXPECT_EQ(log.find("is not the key of mqtt.cert_file", refused + 1), std::string::npos) << log;
  EXPECT_NE(log.find("certificates were read again"), std::string::npos) << log;
}

}  // namespace
}  // namespace sealcast
