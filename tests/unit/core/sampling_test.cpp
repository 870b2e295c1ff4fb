// Tests sampling buckets, with the same test vectors as the tests of the SQL functions and of the client library.
#include "core/sampling.h"

#include <gtest/gtest.h>

#include <fstream>
#include <string>

namespace sealcast::core {
namespace {

// Returns the string or number after `"name":`, or an empty text.
std::string member(const std::string& line, const std::string& name) {
  const std::size_t at = line.find('"' + name + "\":");
  if (at == line.npos) return {};
  const std::size_t first = line.find_first_not_of("\":", at + name.size() + 1);
  return line.substr(first, line.find_first_of("\",}", first) - first);
}

// Each test vector is one line of the file.
TEST(Sampling, ABucketIsTheOneInTheVectors) {
  std::ifstream file(SEALCAST_VECTORS "/sampling.json");
  int count = 0;
  for (std::string line; std::getline(file, line);) {
    const std::string user = member(line, "user_id"), stream = member(line, "stream_id");
    if (user.empty()) continue;
    const int bucket = std::stoi(member(line, "bucket"));
    EXPECT_EQ(sampling_bucket(user, stream), bucket) << user;
    EXPECT_TRUE(is_sampled(user, stream, bucket + 1));
    EXPECT_FALSE(is_sampled(user, stream, bucket));
    ++count;
  }
  EXPECT_GE(count, 40);
}

}  // namespace
}  // namespace sealcast::core
