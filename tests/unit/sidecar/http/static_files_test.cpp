// Tests which files of a directory are served, their content types, and the Content-Security-Policy.
#include "http/static_files.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "support/scratch.h"

namespace sealcast::http {
namespace {

class StaticFilesTest : public testing::Test {
 protected:
  StaticFilesTest() {
    std::filesystem::create_directories(scratch_.path("site/client/drivers"));
    scratch_.write("site/index.html", "<!doctype html>");
    scratch_.write("site/client/drivers/sse.js", "export {};");
    scratch_.write("site/.hidden.json", "{}");
    scratch_.write("secret.txt", "not for browsers");
    std::filesystem::create_symlink("../secret.txt", scratch_.path("site/link.txt"));
  }

  Response get(std::string_view path, const std::vector<std::string>& connect_origins = {}) {
    Response response;
    StaticFiles(scratch_.path("site"), connect_origins).answer(path, response);
    return response;
  }

  test::Scratch scratch_;
};

TEST_F(StaticFilesTest, FilesHaveTheirContentType) {
  EXPECT_EQ(get("/").body, "<!doctype html>");
  EXPECT_EQ(get("/").content_type, "text/html; charset=utf-8");
  EXPECT_EQ(get("/client/drivers/sse.js").body, "export {};");
  EXPECT_EQ(get("/client/drivers/sse.js").content_type, "text/javascript; charset=utf-8");
}

TEST_F(StaticFilesTest, NoFileOutsideTheDirectoryIsServed) {
  for (std::string_view path : {"/nothing", "/client/drivers", "/../secret.txt", "/client/../../secret.txt",
                                "/%2e%2e/secret.txt", "/link.txt", "/.hidden.json", "//etc/passwd", "", "secret.txt"}) {
    EXPECT_EQ(get(path).status, 404) << path;
  }
}

TEST_F(StaticFilesTest, APageMayConnectToItsOwnOriginAndTheConfiguredOrigins) {
  EXPECT_NE(get("/").headers.find("default-src 'self'; connect-src 'self';"), std::string::npos);
  EXPECT_NE(get("/", {"ws://127.0.0.1:9001", "wss://b.example"})
                .headers.find("connect-src 'self' ws://127.0.0.1:9001 wss://b.example;"),
            std::string::npos);
  EXPECT_EQ(get("/").headers.find("unsafe"), std::string::npos);
}

}  // namespace
}  // namespace sealcast::http
